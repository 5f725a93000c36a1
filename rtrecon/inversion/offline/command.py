"""The command `rtrecon reconstruct`: runs the jobs, and writes movie and figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.core.version import __version__
from rtrecon.encoder.card import SHIPPED_FILES
from rtrecon.inversion.offline.clips import Clip, ClipSource
from rtrecon.inversion.offline.cluster import run_on_cluster
from rtrecon.inversion.offline.jobs import (
    DEFAULT_STEPS,
    ReconstructionJob,
    ReconstructionMethod,
    average_results,
    hash_encoder_file,
    job_file_name,
    read_job_result,
    run_job,
)
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.published_protocol import SMOOTHING
from rtrecon.inversion.offline.results import (
    Reconstruction,
    compute_figures,
    create_folder,
    write_reconstruction,
)
from rtrecon.inversion.offline.transparency_mask import MIN_EVALUATED_MASK
from rtrecon.inversion.offline.visual_field_figures import compute_visual_field_figures


@dataclass(frozen=True)
class ReconstructionRequest:
    """The clip to reconstruct, the method, and the folder for the results.

    encoders: files; each gives one movie, and their mean is the reconstruction. steps:
    per hop for 'live', in all for the other methods; None = the default of the method.
    mask: a .npy file of `rtrecon mask`; pixels outside it stay gray ('published'), and
    figures are computed over the pixels inside. scheduler: address of a Dask cluster;
    None = this machine. mouse, device: see `open_encoder`.
    """

    source: ClipSource
    output_folder: Path
    encoders: Sequence[Path]
    method: ReconstructionMethod = "live"
    steps: int | None = None
    mask: Path | None = None
    scheduler: str | None = None
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


def run_reconstruction(
    request: ReconstructionRequest, on_progress: ProgressCallback = ignore_progress
) -> Reconstruction:
    """Reconstruct a clip, or resume where an earlier run stopped; raises UserError.

    Writes `movie.npy`, `reconstruction.mp4` (beside the stimulus if that is known) and
    `reconstruction.json` into the output folder, and the movie of each encoder into its
    subfolder `parts`.
    """
    started = time.monotonic()
    _validate_request(request)
    clip = request.source.load()
    if not np.isfinite(clip.target.activity).any():
        raise UserError(f"{clip.name} has no recorded activity; choose another segment")
    mask = None if request.mask is None else _read_usable_mask(request.mask)
    jobs = _create_jobs(request, clip, mask)
    _run_jobs(jobs, request.scheduler, on_progress)
    result = average_results(
        request.method, [read_job_result(job.file) for job in jobs]
    )
    figures = _collect_provenance(request, clip, jobs)
    figures |= compute_figures(clip, result.movie, result.by_lag, mask)
    figures |= compute_visual_field_figures(
        clip, result.movie, result.by_lag, request.encoders[0]
    )
    figures["passes"] = result.n_passes
    figures["wall_s"] = round(time.monotonic() - started, 2)
    reconstruction = Reconstruction(result.movie, figures)
    write_reconstruction(request.output_folder, clip, reconstruction)
    return reconstruction


def _validate_request(request: ReconstructionRequest) -> None:
    if not request.encoders:
        raise UserError("no encoder is given; name one with --encoder")
    if request.steps is not None and request.steps < 1:
        raise UserError(f"{request.steps} steps are too few; give 1 or more")
    create_folder(request.output_folder / "parts")


def _read_usable_mask(path: Path) -> Array:
    mask = read_mask(path)
    if not (mask >= MIN_EVALUATED_MASK).any():
        raise UserError(
            f"mask {path} is below {MIN_EVALUATED_MASK:g} everywhere, so that no "
            "pixels are left to compute figures over; train it with more steps"
        )
    return mask


def _create_jobs(
    request: ReconstructionRequest, clip: Clip, mask: Array | None
) -> list[ReconstructionJob]:
    steps = request.steps or DEFAULT_STEPS[request.method]
    used = mask if request.method == "published" else None
    parameters: dict[str, object] = {
        "method": request.method,
        "steps": steps,
        "mouse": request.mouse,
        "mask": None if used is None else used.tolist(),
    }
    folder = (request.output_folder / "parts").resolve()
    return [
        ReconstructionJob(
            source=request.source,
            method=request.method,
            steps=steps,
            encoder=encoder if str(encoder) in SHIPPED_FILES else encoder.resolve(),
            file=folder / job_file_name(clip, encoder, parameters),
            mask=used,
            mouse=request.mouse,
            device=request.device,
        )
        for encoder in request.encoders
    ]


def _label_progress(
    on_progress: ProgressCallback, number: int, count: int
) -> ProgressCallback:
    """Return a callback that names the encoder, if there are several."""
    if count == 1:
        return on_progress
    name = f"encoder {number + 1} of {count}"
    return lambda stage, *progress: on_progress(f"{name}, {stage}", *progress)


def _run_jobs(
    jobs: Sequence[ReconstructionJob],
    scheduler: str | None,
    on_progress: ProgressCallback,
) -> None:
    if scheduler is not None:
        run_on_cluster(jobs, scheduler, on_progress)
        return
    for number, job in enumerate(jobs):
        run_job(job, _label_progress(on_progress, number, len(jobs)))


def _collect_provenance(
    request: ReconstructionRequest, clip: Clip, jobs: Sequence[ReconstructionJob]
) -> dict[str, object]:
    """Return all that is needed to reconstruct the same movie again; JSON."""
    return {
        "version": __version__,
        "clip": clip.name,
        "frames": len(clip.target),
        "rate_hz": clip.rate_hz,
        "method": request.method,
        "steps": jobs[0].steps,
        "smoothing": SMOOTHING if request.method == "published" else 0.0,
        "encoders": {str(job.encoder): hash_encoder_file(job.encoder) for job in jobs},
        "mask": None if request.mask is None else str(request.mask),
    }
