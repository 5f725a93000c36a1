"""The word for the quality: cases of correlation, null level and age."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rtrecon.display.panel_states.quality import (
    GOOD_MARGIN,
    MAX_EVIDENCE_AGE_S,
    QualitySample,
    QualityState,
    assess_quality,
)
from rtrecon.protocol import messages

NAN = float("nan")
CASES = {  # held-out correlation, null level, age of the newest sample (s): the word
    "far above the null level": (0.30, 0.05, 0.0, "GOOD"),
    "just above the null level": (0.08, 0.05, 0.0, "FAIR"),
    "at the null level": (0.05, 0.05, 0.0, "POOR"),
    "below the null level": (-0.1, 0.05, 0.0, "POOR"),
    "high, but below a higher null level": (0.40, 0.45, 0.0, "POOR"),
    "no null level": (0.30, NAN, 0.0, "NO DATA"),
    "no held-out neurons": (NAN, 0.05, 0.0, "NO DATA"),
    "too old": (0.30, 0.05, MAX_EVIDENCE_AGE_S + 0.1, "NO DATA"),
}


def sample(t_s: float, correlation: float, null: float) -> QualitySample:
    values = {
        "activity_correlation": correlation,
        "null_activity_correlation": null,
        "visual_field_correlation": 0.6,
        "null_visual_field_correlation": 0.0,
    }
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    return QualitySample(t_s, known)


def constant(correlation: float, null: float, seconds: float = 20.0):
    """Samples of constant quality, five per second."""
    return [sample(float(t), correlation, null) for t in np.arange(0, seconds, 0.2)]


@pytest.mark.parametrize(
    ("correlation", "null", "age_s", "label"), CASES.values(), ids=CASES
)
def test_the_word_compares_the_correlation_with_the_null(
    correlation, null, age_s, label
):
    samples = constant(correlation, null)
    assert assess_quality(samples, samples[-1].t_s + age_s).label == label


def test_messages_that_repeat_an_old_window_do_not_keep_the_word():
    samples = constant(0.3, 0.02)
    lost_s = samples[-1].t_s
    for i in range(1, 30):
        t_s = lost_s + i / 5
        samples.append(sample(t_s, 0.3, 0.02)._replace(evidence_age_s=t_s - lost_s))
        is_good = t_s - lost_s <= MAX_EVIDENCE_AGE_S
        label = assess_quality(samples, t_s).label
        assert label == ("GOOD" if is_good else "NO DATA")


def test_without_samples_there_is_no_data():
    assert assess_quality([], 0.0).label == "NO DATA"


def test_a_correlation_that_scatters_like_the_null_is_always_poor():
    rng = np.random.default_rng(0)
    labels = []
    for _ in range(200):
        draws = rng.normal(0.03, 0.05, (100, 2))
        samples = [sample(i / 5, r, null) for i, (r, null) in enumerate(draws)]
        labels.append(assess_quality(samples, samples[-1].t_s).label)
    assert set(labels) == {"POOR"}


def test_the_word_changes_within_ten_seconds_after_the_field_is_lost():
    good, lost = constant(0.3, 0.02, 60), constant(0.0, 0.02, 6)
    samples = good + [s._replace(t_s=s.t_s + 60) for s in lost]
    assert assess_quality(good, good[-1].t_s).label == "GOOD"
    assert assess_quality(samples, samples[-1].t_s).label == "POOR"


def test_the_assessment_holds_the_medians_and_the_null_level():
    correlation = 0.05 + 1.1 * GOOD_MARGIN
    found = assess_quality(constant(correlation, 0.05), 20.0)
    assert found.label == "GOOD"
    assert found.medians["activity_correlation"] == pytest.approx(correlation)
    assert found.medians["visual_field_correlation"] == pytest.approx(0.6)
    assert found.null_level == pytest.approx(0.05)


def test_a_value_that_the_message_leaves_out_is_nan():
    state = QualityState()
    message = messages.Quality(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=3,
        lag_s=0.8,
        metrics={"activity_correlation": 0.2},
    )
    assert state.update(message, np.empty(0), 7.0)
    [stored] = state.samples
    assert (stored.t_s, stored.value("activity_correlation")) == (7.0, 0.2)
    for name in ("null_activity_correlation", "visual_field_correlation"):
        assert np.isnan(stored.value(name))


def quality_message(index: int, evidence_age_s: float | None) -> messages.Quality:
    return messages.Quality(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=index,
        lag_s=1.2,
        evidence_age_s=evidence_age_s,
    )


def test_the_time_until_the_first_value_is_counted_down():
    state = QualityState()
    assert state.explain_no_data(10.0) == "no movie yet"
    # 36 frames of the window and 90 final frames are needed, of which 6 are there.
    state.update(quality_message(5, None), np.empty(0), 10.0)
    assert state.explain_no_data(10.0) == "first value in 4 s"
    assert state.explain_no_data(11.1) == "first value in 3 s"
    assert state.explain_no_data(14.1) == "no activity of held-out neurons yet"


def test_a_session_without_an_encoder_is_not_called_one_without_data():
    state = QualityState()
    health = messages.Health(
        session="s", seq=0, t=0.0, process="daemon", state="running", has_inverter=False
    )
    assert state.update(health, np.empty(0), 10.0)
    assert not state.update(health, np.empty(0), 11.0)
    assert state.explain_no_data(11.0) == "judged once there is an encoder"
    trained = msgspec.structs.replace(health, has_inverter=True)
    assert state.update(trained, np.empty(0), 12.0)
    assert state.explain_no_data(12.0) == "no movie yet"


def test_a_window_that_is_full_already_shortens_the_time_to_the_first_value():
    state = QualityState()
    state.update(quality_message(5000, 0.0), np.empty(0), 10.0)
    assert state.explain_no_data(10.5) == "first value in 3 s"
    assert state.explain_no_data(13.5) == "no new evidence for 4 s"


def test_the_age_of_the_evidence_is_shown():
    state = QualityState()
    state.update(quality_message(5000, 14.0), np.empty(0), 60.0)
    assert state.explain_no_data(60.2) == "no new evidence for 14 s"
