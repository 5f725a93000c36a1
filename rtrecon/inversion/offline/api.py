"""Reconstruct a recorded session from Python, without writing files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.inversion.offline.clips import select_segment
from rtrecon.inversion.offline.jobs import (
    DEFAULT_STEPS,
    ReconstructionJob,
    ReconstructionMethod,
    average_results,
    read_job_result,
    run_job,
)
from rtrecon.inversion.offline.results import Reconstruction, compute_figures
from rtrecon.inversion.offline.visual_field_figures import compute_visual_field_figures

__all__ = ["Reconstruction", "reconstruct"]


def reconstruct(
    session: str | Path,
    encoder: str | Path = "demo",
    method: ReconstructionMethod = "map",
    *,
    start_s: float = 0.0,
    duration_s: float = 10.0,
    steps: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    on_progress: ProgressCallback = ignore_progress,
) -> Reconstruction:
    """Reconstruct a segment of a recorded session with one encoder.

    session: folder that the daemon recorded. encoder: checkpoint file, or 'demo' for
    the one that comes with rtrecon; it must have been trained on the session's neurons.
    method: 'map' (most probable movie of the whole segment), 'live' (as a live session
    would have shown it) or 'published' (Bauer, Margrie & Clopath, eLife 2026). steps:
    of the optimiser, per hop for 'live'; None = the default of the method. on_progress:
    called with a stage, the fraction done and a detail.

    Returns the movie, float32 (T, 36, 64) of gray levels 0..255 (NaN where there is
    none), and its figures, a dictionary; `visual_field_correlation` (where the neurons
    look) and `pixel_correlation` (whole screen) are None if the session has no
    stimulus. Raises UserError with a sentence that says what to do.

    Example:
        >>> from rtrecon.inversion.offline.api import reconstruct
        >>> result = reconstruct("recordings/mouse7", "mouse7.safetensors", "map",
        ...                      start_s=60, duration_s=10)  # doctest: +SKIP
        >>> result.movie.shape, result.figures["pixel_correlation"]  # doctest: +SKIP
        ((300, 36, 64), 0.61)

    """
    clip = select_segment(Path(session), start_s, duration_s).load()
    with TemporaryDirectory() as folder:
        job = ReconstructionJob(
            source=clip,
            method=method,
            steps=steps or DEFAULT_STEPS[method],
            encoder=Path(encoder),
            file=Path(folder) / "movie.safetensors",
            device=device,
        )
        run_job(job, on_progress)
        result = average_results(method, [read_job_result(job.file)])
    figures = {"clip": clip.name, "method": method, "steps": job.steps}
    figures |= compute_figures(clip, result.movie, result.by_lag, None)
    figures |= compute_visual_field_figures(
        clip, result.movie, result.by_lag, Path(encoder)
    )
    return Reconstruction(result.movie, figures)
