"""Says what a calibration needs next, and what may be wrong."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.calibration.clip_data import count_missing_frames
from rtrecon.calibration.clips import ClipRole
from rtrecon.calibration.judging import MIN_MARGIN, MovieScore, ResponseScore
from rtrecon.calibration.recorded_minutes import RecordedMinutes

_MIN_STILL_S = 10.0
_MIN_REPEATED_GROUPS = 4  # fewer different clips: the program repeats a few
_MAX_CONFLICT_SHARE = 0.1
_CAUSES = (
    "the clock of the stimulus computer, the masks, or the screen (it was off, covered "
    "or showed something else)"
)


@dataclass(frozen=True)
class Scores:
    """Scores of the newest encoder; None where they are not known yet."""

    responses: ResponseScore | None = None
    ceiling_share: float | None = None
    movie: MovieScore | None = None
    is_related: bool = True


def describe_missing(
    minutes: RecordedMinutes, first_minutes: float, scores: Scores
) -> str:
    """Return what is needed before the next step; "" if nothing is."""
    if fault := _describe_stimulus(minutes):
        return fault
    if scores.responses is None:
        missing = max(
            first_minutes - minutes.minutes,
            count_missing_frames(minutes.clips) / minutes.rate_hz / 60,
        )
        if missing <= 0:
            return ""
        return (
            f"{missing:.1f} more minutes of a known movie are needed before the first "
            "training"
        )
    if not scores.is_related:
        return (
            "the activity does not follow the stimulus so far; show more minutes, and "
            f"check {_CAUSES}"
        )
    if scores.movie is not None and not scores.movie.is_clear:
        return (
            "the movie is not clearly better than one from exchanged neurons yet "
            f"(r = {scores.movie.r:.2f} and {scores.movie.null_r:.2f}, a difference of "
            f"{MIN_MARGIN:g} is needed); show more minutes"
        )
    return ""


def describe_handover(scores: Scores, minutes: float, n_encoders: int) -> str:
    """Return the sentence of the event with which an encoder is handed over."""
    assert scores.responses is not None
    assert scores.movie is not None
    which = "the first encoder" if n_encoders == 1 else f"encoder {n_encoders}"
    n_responsive, n_neurons = scores.responses.n_responsive, len(scores.responses.r)
    return (
        f"{which} of this session is ready after {minutes:.1f} minutes: {n_responsive} "
        f"of {n_neurons} neurons respond, and on clips kept out the movie "
        f"has r = {scores.movie.r:.2f} where the neurons look (exchanged neurons: "
        f"{scores.movie.null_r:.2f})"
    )


def _describe_stimulus(minutes: RecordedMinutes) -> str:
    """Return what is wrong with the stimulus itself; "" if nothing is known to be."""
    clips, rate_hz = minutes.clips, minutes.rate_hz
    n_rows = len(clips.picture_ids)
    if minutes.n_conflicts > _MAX_CONFLICT_SHARE * max(n_rows, 1):
        return (
            f"two different pictures were sent for {minutes.n_conflicts} encoder "
            "frames: do two programs send a stimulus? End one of them"
        )
    still_s = clips.frames_of(ClipRole.STILL) / rate_hz
    n_moving = sum(len(clip) for clip in clips.clips) - round(still_s * rate_hz)
    if still_s >= _MIN_STILL_S and n_moving < still_s * rate_hz:
        return (
            f"the stimulus stood still for {still_s:.0f} s; an encoder learns from "
            "moving pictures only: show natural movies"
        )
    is_repeating = len(clips.clips) > _MIN_REPEATED_GROUPS * max(clips.n_groups, 1)
    if is_repeating and count_missing_frames(clips):
        return (
            f"the stimulus repeats {clips.n_groups} clips; those that are kept out "
            "must differ from those that are trained on: show more different ones"
        )
    return ""
