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
    headline = f"Calibrating: {message.minutes:.1f} min so far, {stage}"
    lines = [headline, ", ".join(_list_scores(message)), message.missing]
    return "\n".join(line for line in lines if line)


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
