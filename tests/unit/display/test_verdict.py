"""One word against the null level: cases of correlation, null and age."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.verdict import GOOD_MARGIN, STALE_S, Judged, judged, verdict
from rtrecon.protocol import messages

NAN = float("nan")
CASES = {  # held-out correlation, null level, age of the newest (s): the word
    "far above the null level": (0.30, 0.05, 0.0, "GOOD"),
    "just above the null level": (0.08, 0.05, 0.0, "FAIR"),
    "at the null level": (0.05, 0.05, 0.0, "POOR"),
    "below it": (-0.1, 0.05, 0.0, "POOR"),
    "high, but so is the null level": (0.40, 0.45, 0.0, "POOR"),
    "no null level": (0.30, NAN, 0.0, "NO DATA"),
    "nothing held out": (NAN, 0.05, 0.0, "NO DATA"),
    "old": (0.30, 0.05, STALE_S + 1, "NO DATA"),
}


def steady(correlation: float, null: float, seconds: float = 20.0) -> list[Judged]:
    times = np.arange(0, seconds, 0.2)
    return [Judged(float(t), correlation, null, 0.6, 0.0) for t in times]


@pytest.mark.parametrize(
    ("correlation", "null", "age_s", "word"), CASES.values(), ids=CASES
)
def test_word(correlation, null, age_s, word):
    history = steady(correlation, null)
    assert verdict(history, history[-1].t_s + age_s).word == word


def test_before_anything_was_judged_there_is_no_data():
    assert verdict([], 0.0).word == "NO DATA"


def test_nothing_is_called_good_that_only_scatters_like_the_null():
    rng = np.random.default_rng(0)
    words = []
    for _ in range(200):
        draws = rng.normal(0.03, 0.05, (100, 2))
        history = [Judged(i / 5, a, n, NAN, NAN) for i, (a, n) in enumerate(draws)]
        words.append(verdict(history, history[-1].t_s).word)
    assert set(words) == {"POOR"}


def test_a_field_that_was_lost_is_noticed_within_ten_seconds():
    good, lost = steady(0.3, 0.02, 60), steady(0.0, 0.02, 6)
    history = good + [q._replace(t_s=q.t_s + 60) for q in lost]
    assert verdict(good, good[-1].t_s).word == "GOOD"
    assert verdict(history, history[-1].t_s).word == "POOR"


def test_numbers_beside_the_word_are_what_it_was_made_from():
    found = verdict(steady(0.05 + 1.1 * GOOD_MARGIN, 0.05), 20.0)
    assert found.word == "GOOD"
    assert found[1:] == pytest.approx((0.05 + 1.1 * GOOD_MARGIN, 0.05, 0.6))


def test_what_a_message_leaves_out_is_nan():
    message = messages.Quality(
        session="s", seq=0, t=0.0, index=3, lag=0.8, activity_correlation=0.2
    )
    found = judged(message, 7.0)
    assert (found.t_s, found.activity) == (7.0, 0.2)
    assert np.isnan([found.null, found.pixel, found.null_pixel]).all()
