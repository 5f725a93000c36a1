"""The live quality metrics over time, and the word that judges them.

The word compares the correlation of the held-out neurons with its null level: what the
same inversion reaches by chance, when its neurons are exchanged. The word expires with
its evidence: messages that arrive while the activity is lost repeat an old window, and
do not extend it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.state import PanelState
from rtrecon.metrics.evidence import MIN_S
from rtrecon.metrics.live_metrics import (
    ACTIVITY_CORRELATION,
    DISPLAYED_METRICS,
    quality_series,
)
from rtrecon.protocol.messages import Health, Movie, PublishedMessage, Quality
from rtrecon.stimulus_space.video import VIDEO

QualityLabel = Literal["GOOD", "FAIR", "POOR", "NO DATA"]
MAX_SAMPLES = 4000  # bounds the history, whatever the rate of messages
MEDIAN_S = 10.0  # a value is the median over this time
NULL_S = 60.0  # the null level is taken over this time
NULL_PERCENTILE = 95.0
GOOD_MARGIN = 0.10  # in correlation, above the null level
MAX_EVIDENCE_AGE_S = 2.0
SERIES = quality_series(DISPLAYED_METRICS)


class QualitySample(NamedTuple):
    """The values of one quality message by series name; unknown values are absent.

    t_s: when it was received. evidence_age_s: how old its newest evidence was then, in
    s; None where there was none yet.
    """

    t_s: float
    values: Mapping[str, float]
    evidence_age_s: float | None = 0.0

    def value(self, name: str) -> float:
        """Return the value of a series, NaN if it is unknown."""
        return self.values.get(name, np.nan)


class QualityAssessment(NamedTuple):
    """The word and what it is derived from.

    medians: of the last seconds, by the series' name; NaN where there is no value.
    """

    label: QualityLabel
    medians: Mapping[str, float]
    null_level: float


class QualityState(PanelState):
    """The history of the quality metrics.

    is_without_encoder: the daemon has none (yet), so that there is nothing to judge.
    space: of the stimuli.
    """

    message_types = (Quality, Health, Movie)

    def __init__(self) -> None:
        self.samples: deque[QualitySample] = deque(maxlen=MAX_SAMPLES)
        self.is_without_encoder = False
        self.space = VIDEO
        self.first_value_s: float | None = None  # when the first value is expected

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store the values of one message, or what the stimulus is."""
        if isinstance(message, Health):
            return self._update_health(message)
        if isinstance(message, Movie):
            space = message.stimulus_space or VIDEO
            is_changed = space != self.space
            self.space = space
            return is_changed
        assert isinstance(message, Quality)
        if self.first_value_s is None:
            rate_hz = self.space.rate_hz
            self.first_value_s = now_s + _time_to_first_value_s(message, rate_hz)
        self.samples.append(
            QualitySample(now_s, message.metrics, message.evidence_age_s)
        )
        return True

    def _update_health(self, health: Health) -> bool:
        if health.process != "daemon":
            return False
        was_without = self.is_without_encoder
        self.is_without_encoder = not health.has_inverter
        return self.is_without_encoder != was_without

    def explain_no_data(self, now_s: float) -> str:
        """Return why there is no word for the quality now."""
        if self.is_without_encoder:
            return "judged once there is an encoder"
        if self.first_value_s is None:
            return "no movie yet"
        evidence_age_s = get_evidence_age_s(self.samples, now_s)
        if evidence_age_s is not None and evidence_age_s > MAX_EVIDENCE_AGE_S:
            return f"no new evidence for {evidence_age_s:.0f} s"
        if now_s < self.first_value_s:
            return f"first value in {math.ceil(self.first_value_s - now_s)} s"
        if evidence_age_s is None:
            return "no activity of held-out neurons yet"
        return "no null level yet"


def get_evidence_age_s(samples: Sequence[QualitySample], now_s: float) -> float | None:
    """Return the age of the newest evidence at `now_s`; None if there is none."""
    if not samples or samples[-1].evidence_age_s is None:
        return None
    return now_s - samples[-1].t_s + samples[-1].evidence_age_s


def assess_quality(samples: Sequence[QualitySample], now_s: float) -> QualityAssessment:
    """Return the word for the last seconds of `samples`, by the constants above."""
    evidence_age_s = get_evidence_age_s(samples, now_s)
    if evidence_age_s is None or evidence_age_s > MAX_EVIDENCE_AGE_S:
        nothing = {series.name: np.nan for series in SERIES}
        return QualityAssessment("NO DATA", nothing, np.nan)
    recent = [sample for sample in samples if sample.t_s >= now_s - MEDIAN_S]
    medians = {
        series.name: _percentile([sample.value(series.name) for sample in recent], 50)
        for series in SERIES
    }
    nulls = [
        sample.value(ACTIVITY_CORRELATION.null_name)
        for sample in samples
        if sample.t_s >= now_s - NULL_S
    ]
    null_level = _percentile(nulls, NULL_PERCENTILE)
    label = _choose_label(medians[ACTIVITY_CORRELATION.name] - null_level)
    return QualityAssessment(label, medians, null_level)


def _time_to_first_value_s(first: Quality, rate_hz: float) -> float:
    """Return after which time (s) the first metric is due; first: first message.

    A metric needs `MIN_S` of frames that are final, and frames become final when they
    leave the window. The window is full already if the session runs for longer.
    """
    elapsed_s = min((first.encoder_frame + 1) / rate_hz, first.lag_s)
    return MIN_S + first.lag_s - elapsed_s


def _choose_label(margin: float) -> QualityLabel:
    """Return the word for a margin above the null level."""
    if np.isnan(margin):
        return "NO DATA"
    if margin >= GOOD_MARGIN:
        return "GOOD"
    return "FAIR" if margin > 0 else "POOR"


def _percentile(values: Sequence[float], q: float) -> float:
    """Return the percentile of the known values; NaN if none is known."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.percentile(known, q)) if known else np.nan
