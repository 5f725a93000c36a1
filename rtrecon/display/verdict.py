"""One word for how far the movie can be trusted, and the rule behind it.

The held-out activity correlation is compared with the null level: what the same
inversion reaches when it is fed with neurons permuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from rtrecon.protocol.messages import Quality

Word = Literal["GOOD", "FAIR", "POOR", "NO DATA"]

JUDGED_S = 10.0  # the correlation is the median over this time
NULL_S = 60.0  # the null level is taken over this time
NULL_PERCENTILE = 95.0
GOOD_MARGIN = 0.10  # in correlation, above the null level
STALE_S = 3.0

RULE = (
    f"Held-out activity correlation (median of the last {JUDGED_S:.0f} s) against the "
    f"null level (neurons permuted; {NULL_PERCENTILE:.0f}th percentile of the last "
    f"{NULL_S:.0f} s).\nGOOD: at least {GOOD_MARGIN:.2f} above the null level. "
    "FAIR: above it. POOR: not above it.\n"
    f"NO DATA: nothing judged for {STALE_S:.0f} s, or no null level."
)

SAYS: dict[Word, str] = {
    "GOOD": "well above chance, on neurons it never saw",
    "FAIR": "just above chance, on neurons it never saw",
    "POOR": "no better than chance: do not trust the movie",
    "NO DATA": "",
}


class Judged(NamedTuple):
    """The correlations published at one time; NaN where one was not."""

    t_s: float
    activity: float
    null: float
    pixel: float
    null_pixel: float


class Verdict(NamedTuple):
    """The word and the correlations it stands on; NaN where there is none."""

    word: Word
    activity: float
    null_level: float
    pixel: float


def judged(quality: Quality, now_s: float) -> Judged:
    """Return the correlations of one message, received at `now_s`."""
    published = (
        quality.activity_correlation,
        quality.null_correlation,
        quality.pixel_correlation,
        quality.null_pixel_correlation,
    )
    return Judged(now_s, *(np.nan if value is None else value for value in published))


def verdict(history: Sequence[Judged], now_s: float) -> Verdict:
    """Judge the last seconds of `history` by the rule above."""
    if not history or now_s - history[-1].t_s > STALE_S:
        return Verdict("NO DATA", np.nan, np.nan, np.nan)
    recent = [q for q in history if q.t_s >= now_s - JUDGED_S]
    nulls = [q.null for q in history if q.t_s >= now_s - NULL_S]
    activity = _percentile([q.activity for q in recent], 50)
    level = _percentile(nulls, NULL_PERCENTILE)
    pixel = _percentile([q.pixel for q in recent], 50)
    return Verdict(_word(activity - level), activity, level, pixel)


def _word(margin: float) -> Word:
    if np.isnan(margin):
        return "NO DATA"
    if margin >= GOOD_MARGIN:
        return "GOOD"
    return "FAIR" if margin > 0 else "POOR"


def _percentile(values: Sequence[float], q: float) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.percentile(known, q)) if known else np.nan
