"""Describes a calibration in place of the movie, while there is none."""

from __future__ import annotations

from rtrecon.protocol import messages

_STAGES = {
    "gathering": "gathering minutes",
    "training": "training the encoder",
    "judging": "judging the encoder on clips kept out",
    "complete": "no further minute is taken",
}


def describe_calibration(message: messages.Calibration) -> str:
    """Return a headline, and lines with scores and with what is missing."""
    stage = _STAGES.get(message.stage, message.stage)
    headline = f"Calibrating: {message.minutes:.1f} min"
    scores = ", ".join(_list_scores(message))
    lines = [headline, stage, _describe_lag(message), scores, message.missing]
    return "\n".join(line for line in lines if line)


def _describe_lag(message: messages.Calibration) -> str:
    """Return how late the neurons follow; the banner shows what is wrong with it."""
    if message.n_following is None or message.warning:
        return ""
    if message.lag_s is None:
        return "too few neurons follow the stimulus so far"
    error_ms = 1e3 * (message.lag_error_s or 0.0)
    lag_ms = 1e3 * message.lag_s
    return f"activity follows the stimulus by {lag_ms:.0f} ± {error_ms:.0f} ms"


def _list_scores(message: messages.Calibration) -> list[str]:
    """Return the scores that are known."""
    if message.n_responsive is None or message.response_r is None:
        return []
    scores = [
        f"{message.n_responsive} of {message.n_neurons} neurons respond",
        f"response r {message.response_r:.2f}",
    ]
    if message.ceiling_share is not None:
        scores[-1] += f" ({message.ceiling_share:.0%} of the ceiling)"
    if message.movie_r is not None:
        scores.append(f"expected movie r {message.movie_r:.2f}")
    if message.null_movie_r is not None:
        scores[-1] += f" (null {message.null_movie_r:.2f})"
    return scores
