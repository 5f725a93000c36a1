"""What comes of a reconstruction: the movie as files, and how like the stimulus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.transparency_mask import EVALUATED_FROM
from rtrecon.metrics.similarity import frame_correlation, video_correlation
from rtrecon.sources.video import write_movie

MOVIE, VIDEO, ABOUT = "movie.npy", "reconstruction.mp4", "reconstruction.json"
SETTLED_FROM = 30  # frames that published figures leave out at a clip's start
_GAP_PX, _GRAY = 2, 127.0
_SCALE = 6  # pixels of the video per pixel of the movie


@dataclass(frozen=True)
class Outcome:
    """The movie (T, 36, 64) float32, NaN where there is none, and what is told of it.

    about: JSON, as written to `reconstruction.json`.
    """

    movie: Array
    about: dict[str, Any]

    def sentence(self) -> str:
        """Return what a user wants to know first."""
        r, n_frames = self.about["pixel_correlation"], len(self.movie)
        known = "stimulus not known" if r is None else f"pixel correlation {r:.3f}"
        return f"{n_frames} frames of {self.about['clip']} reconstructed: {known}"


def figures(
    clip: Clip, movie: Array, by_lag: Mapping[int, Array], mask: Array | None
) -> dict[str, Any]:
    """Return how like what was shown the movie is; None where that is not known.

    by_lag: the movie as it stood when its frames were so old. Counted are frames from
    `SETTLED_FROM` on (of a short clip its second half), and pixels at which the mask
    is `EVALUATED_FROM` or more.
    """
    first = min(SETTLED_FROM, len(movie) // 2)
    counted = None if mask is None else mask >= EVALUATED_FROM
    found: dict[str, Any] = {"counted_from_frame": first}
    if clip.shown is None:
        unknown = dict.fromkeys(("pixel_correlation", "frame_correlation"))
        return found | unknown | {"pixel_correlation_by_lag_s": {}}
    shown = clip.shown[first:]
    return found | {
        "pixel_correlation": _number(video_correlation(movie[first:], shown, counted)),
        "frame_correlation": _number(frame_correlation(movie[first:], shown, counted)),
        "pixel_correlation_by_lag_s": {
            f"{lag / clip.rate_hz:.2f}": _number(
                video_correlation(then[first:], shown, counted)
            )
            for lag, then in by_lag.items()
        },
    }


def make_room(folder: Path) -> None:
    """Make a folder; UserError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {folder} cannot be made: {error.strerror}") from None


def write(folder: Path, clip: Clip, outcome: Outcome) -> None:
    """Write the movie, a video of it beside what was shown, and what is told of it."""
    np.save(folder / MOVIE, outcome.movie, allow_pickle=False)
    write_movie(
        folder / VIDEO, _beside(clip.shown, outcome.movie), clip.rate_hz, _SCALE
    )
    text = json.dumps(outcome.about, indent=2)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")


def _beside(shown: Array | None, movie: Array) -> Array:
    """Return uint8 (T, 36, 64), or wider by what was shown and a gap, left of it."""
    made = _pixels(movie)
    if shown is None:
        return made
    gap = np.zeros((*made.shape[:2], _GAP_PX), np.uint8)
    return np.concatenate([_pixels(shown), gap, made], axis=2)


def _pixels(movie: Array) -> Array:
    """Return uint8; gray where there is nothing."""
    known = np.nan_to_num(movie, nan=_GRAY)
    return np.rint(known.clip(0, 255)).astype(np.uint8)


def _number(r: float) -> float | None:
    """Return what JSON can say."""
    return round(r, 4) if np.isfinite(r) else None
