"""Results of a reconstruction: files, and how similar the movie is to the stimulus."""

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
from rtrecon.inversion.offline.transparency_mask import MIN_EVALUATED_MASK
from rtrecon.metrics.similarity import frame_correlation, video_correlation
from rtrecon.sources.stimulus_file import choose_suffix, write_stimulus_file
from rtrecon.sources.video import write_movie

MOVIE, VIDEO, FIGURES = "movie.npy", "reconstruction.mp4", "reconstruction.json"
SKIPPED_FRAMES = 30  # at the start of a clip, as in the published protocol
_GAP_PX, _GRAY = 2, 127.0
_SCALE = 6  # pixels of the video per pixel of the movie


@dataclass(frozen=True)
class Reconstruction:
    """The movie (T, height, width) float32, NaN where there is none, and its figures.

    figures: as written to `reconstruction.json`.
    """

    movie: Array
    figures: dict[str, Any]

    def summary_sentence(self) -> str:
        """Return one sentence for the user."""
        r, n_frames = self.figures["pixel_correlation"], len(self.movie)
        known = "stimulus not known" if r is None else f"pixel correlation {r:.3f}"
        in_field = self.figures.get("visual_field_correlation")
        if in_field is not None:
            still = self.figures["mean_frame_visual_field_correlation"]
            beside = "" if still is None else f" (mean frame {still:.3f})"
            known += f", {in_field:.3f} where the neurons look{beside}"
        return f"{n_frames} frames of {self.figures['clip']} reconstructed: {known}"


def compute_figures(
    clip: Clip, movie: Array, by_lag: Mapping[int, Array], mask: Array | None
) -> dict[str, Any]:
    """Return the movie's correlations with the stimulus; None if that is not known.

    by_lag: the movie as it was when its frames had this age, in encoder frames. Frames
    from `SKIPPED_FRAMES` on count (of a short clip, its second half), and pixels where
    the mask is `MIN_EVALUATED_MASK` or more.
    """
    first = count_skipped_frames(movie)
    counted = None if mask is None else mask >= MIN_EVALUATED_MASK
    figures: dict[str, Any] = {"counted_from_frame": first}
    if clip.stimulus is None:
        unknown = dict.fromkeys(("pixel_correlation", "frame_correlation"))
        return figures | unknown | {"pixel_correlation_by_lag_s": {}}
    stimulus = clip.stimulus[first:]
    return figures | {
        "pixel_correlation": round_for_json(
            video_correlation(movie[first:], stimulus, counted)
        ),
        "frame_correlation": round_for_json(
            frame_correlation(movie[first:], stimulus, counted)
        ),
        "pixel_correlation_by_lag_s": {
            f"{lag / clip.rate_hz:.2f}": round_for_json(
                video_correlation(younger[first:], stimulus, counted)
            )
            for lag, younger in by_lag.items()
        },
    }


def count_skipped_frames(movie: Array) -> int:
    """Return how many frames at the start of a movie do not count in figures."""
    return min(SKIPPED_FRAMES, len(movie) // 2)


def create_folder(folder: Path) -> None:
    """Create a folder and its parents; UserError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"folder {folder} cannot be created: {error.strerror}"
        ) from None


def write_reconstruction(
    folder: Path, clip: Clip, reconstruction: Reconstruction
) -> None:
    """Write the movie, a video of it beside the stimulus, and the figures.

    Of another sense than vision, files of the sense in place of the video, such as
    `reconstruction.wav`.
    """
    np.save(folder / MOVIE, reconstruction.movie, allow_pickle=False)
    text = json.dumps(reconstruction.figures, indent=2)
    (folder / FIGURES).write_text(text + "\n", encoding="utf-8")
    if not clip.space.is_picture:
        _write_of_sense(folder, clip, reconstruction.movie)
        return
    write_movie(
        folder / VIDEO,
        _place_side_by_side(clip.stimulus, reconstruction.movie),
        clip.rate_hz,
        _SCALE,
    )


def _write_of_sense(folder: Path, clip: Clip, movie: Array) -> None:
    suffix = choose_suffix(clip.space)
    file = folder / f"reconstruction.{suffix}"
    write_stimulus_file(file, _to_uint8(movie), clip.space)
    if clip.stimulus is not None:
        file = folder / f"stimulus.{suffix}"
        write_stimulus_file(file, _to_uint8(clip.stimulus), clip.space)


def _place_side_by_side(stimulus: Array | None, movie: Array) -> Array:
    """Return uint8 (T, 36, 64); with a stimulus, that and a gap are on its left."""
    pixels = _to_uint8(movie)
    if stimulus is None:
        return pixels
    gap = np.zeros((*pixels.shape[:2], _GAP_PX), np.uint8)
    return np.concatenate([_to_uint8(stimulus), gap, pixels], axis=2)


def _to_uint8(movie: Array) -> Array:
    """Return uint8; NaN becomes gray."""
    pixels = np.nan_to_num(movie, nan=_GRAY)
    return np.rint(pixels.clip(0, 255)).astype(np.uint8)


def round_for_json(r: float) -> float | None:
    """Return four decimals, or None for NaN, which JSON does not have."""
    return round(r, 4) if np.isfinite(r) else None
