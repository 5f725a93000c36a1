"""Says in sentences how neurons follow the stimulus, and what may be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from rtrecon.metrics.stimulus_lag.stimulus_lag import (
    SEARCHED_S,
    LagEstimate,
    StimulusLag,
)

EXPECTED_S = (0.0, 0.4)  # a calcium signal deconvolved; most neurons 0.05 to 0.3 s
_USUAL_S = 0.15
_MIN_LAG_ERRORS = 2.0  # standard errors that a lag must lie outside
MAX_DRIFT_S = 0.03  # about one encoder frame
_MIN_ERRORS = 4.0  # standard errors that a drift must exceed
# In less, clocks drift by less than is reported, and the few neurons that follow so far
# give an error that may be far too small.
_MIN_DRIFT_MINUTES = 5.0
_MIN_REPEAT_R = 0.02
_CLOCK = (
    "the clock of the stimulus computer was wrong (t_send of its messages), so that "
    "movie and activity are paired at the wrong times"
)


def describe_stimulus_lag(found: StimulusLag) -> Iterator[str]:
    """Yield sentences: neurons, lag, drift, repeats."""
    share = found.n_following / max(found.n_neurons, 1)
    yield (
        f"{found.n_following} of {found.n_neurons} neurons ({share:.0%}) follow the "
        f"stimulus, judged by {found.minutes:.1f} minutes"
    )
    if found.estimate is None:
        yield explain_missing_relation(found)
    else:
        yield _describe_lag(found.estimate)
        yield _describe_drift(found)
    yield _describe_repeats(found)


def find_lag_warning(found: StimulusLag) -> str:
    """Return what is probably wrong, with its likely cause; "" if nothing is."""
    if found.estimate is None:
        return explain_missing_relation(found)
    sentences = []
    if not _is_expected(found.estimate):
        sentences.append(_describe_lag(found.estimate))
    if _is_drifting(found):
        sentences.append(_describe_drift(found))
    return "; ".join(sentences)


def explain_missing_relation(found: StimulusLag) -> str:
    """Return the likely cause why no neuron follows the stimulus."""
    first, last = SEARCHED_S
    searched = (
        f"too few neurons follow the stimulus at any lag from {first:g} to {last:g} s"
    )
    if found.distant_offset_s is not None:
        direction = "later" if found.distant_offset_s > 0 else "earlier"
        return (
            f"{searched}, but the activity follows it {abs(found.distant_offset_s):.1f}"
            f" s {direction} than recorded: {_CLOCK}"
        )
    if found.repeats is None:
        return (
            f"{searched}; likely causes are the clock of the stimulus computer, the "
            "masks (they do not lie on these neurons), or the screen (it was off, "
            "covered or showed something else); a clip shown twice would tell which"
        )
    if found.repeats.r > _MIN_REPEAT_R:
        return f"{searched}, but they answer repeats of a clip alike: probably {_CLOCK}"
    return (
        f"{searched}, and they do not answer repeats of a clip alike: check the masks "
        "(do they lie on these neurons?) and the screen (was it on, and seen by the "
        "eye?)"
    )


def _describe_lag(estimate: LagEstimate) -> str:
    lag_ms, error_ms = estimate.lag_s * 1e3, estimate.error_s * 1e3
    first, last = (1e3 * limit for limit in EXPECTED_S)
    found = f"activity follows the stimulus {lag_ms:.0f} ± {error_ms:.0f} ms later"
    if _is_expected(estimate):
        return f"{found}, as expected ({first:.0f} to {last:.0f} ms)"
    if estimate.lag_s < EXPECTED_S[0]:
        return (
            f"activity comes {-lag_ms:.0f} ± {error_ms:.0f} ms before the recorded "
            "stimulus, which no neuron can: the clock of the stimulus computer is "
            "ahead of the microscope's (t_send of its messages), by about "
            f"{_USUAL_S - estimate.lag_s:.1f} s"
        )
    return (
        f"{found}; expected are {first:.0f} to {last:.0f} ms: measure the delay of the "
        "screen with a photodiode, and check the clock of the stimulus computer"
    )


def _describe_drift(found: StimulusLag) -> str:
    assert found.estimate is not None
    drift_s, error_s = found.estimate.drift_s, found.estimate.drift_error_s
    ppm = drift_s / (found.minutes * 60 / 2) * 1e6
    measured = f"{drift_s * 1e3:+.0f} ± {error_s * 1e3:.0f} ms"
    if _is_drifting(found):
        return (
            f"between the halves of the session the lag changes by {measured} (about "
            f"{ppm:.0f} ppm): the clock of the stimulus computer drifts against that "
            "of the microscope; send a photodiode's edges as a sync line"
        )
    verdict = "no drift"
    if found.minutes < _MIN_DRIFT_MINUTES:
        verdict = f"{_MIN_DRIFT_MINUTES:g} minutes are needed to tell drift from noise"
    return f"between the halves of the session the lag changes by {measured}: {verdict}"


def _is_expected(estimate: LagEstimate) -> bool:
    reach_s = _MIN_LAG_ERRORS * estimate.error_s
    first_s, last_s = EXPECTED_S
    return first_s - reach_s <= estimate.lag_s <= last_s + reach_s


def _is_drifting(found: StimulusLag) -> bool:
    if found.estimate is None or found.minutes < _MIN_DRIFT_MINUTES:
        return False
    least_s = max(MAX_DRIFT_S, _MIN_ERRORS * found.estimate.drift_error_s)
    return abs(found.estimate.drift_s) > least_s


def _describe_repeats(found: StimulusLag) -> str:
    repeats = found.repeats
    if repeats is None:
        return "no clip was shown twice, so nothing is known about repeats"
    verdict = "they agree" if repeats.r > _MIN_REPEAT_R else "they do not agree"
    return (
        f"responses to {repeats.seconds:.0f} s of repeated clips correlate with r = "
        f"{repeats.r:.3f} in the median neuron: {verdict}"
    )
