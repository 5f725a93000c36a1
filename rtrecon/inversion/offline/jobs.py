"""Reconstruction jobs: one clip, one method and one encoder each.

A job holds paths, not data, so that it can run here or on another machine with the same
folders. Its result is stored in a file whose name is a hash of all that decides it. A
job whose file exists is not run again; a descent that was interrupted is resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from scipy.ndimage import gaussian_filter

from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.inversion.offline.clips import Clip, ClipSource
from rtrecon.inversion.offline.encoder_files import (
    open_checkpoint,
    open_encoder,
    require_device,
)
from rtrecon.inversion.offline.live_and_map import (
    MAP_STEPS,
    STEPS_PER_HOP,
    reconstruct_live,
    reconstruct_map,
)
from rtrecon.inversion.offline.published_protocol import (
    SMOOTHING,
    reconstruct_published,
)
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.space_settings import make_settings
from rtrecon.stimulus_space.space import StimulusSpace

ReconstructionMethod = Literal["live", "map", "published"]
DEFAULT_STEPS: dict[ReconstructionMethod, int] = {
    "live": STEPS_PER_HOP,
    "map": MAP_STEPS,
    "published": PublishedSettings().steps,
}


@dataclass(frozen=True)
class ReconstructionJob:
    """Reconstructs one clip by one method with one encoder, into `file`.

    mask: (36, 64), see `PixelDescent`; only the published method uses it.
    """

    source: ClipSource
    method: ReconstructionMethod
    steps: int
    encoder: Path
    file: Path
    mask: Array | None = None
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class JobResult:
    """Movies that a job reconstructed, float32 (T, 36, 64), NaN where there is none.

    by_lag: as the live inversion would have shown it, by the age of the frames in
    encoder frames. n_passes: forward and backward passes of the encoder.
    """

    movie: Array
    by_lag: dict[int, Array]
    n_passes: int


def job_file_name(clip: Clip, encoder: Path, parameters: dict[str, object]) -> str:
    """Return the name of a job's file, which no other job has.

    parameters: all else that decides the result; JSON.
    """
    deciding = json.dumps(parameters, sort_keys=True) + hash_encoder_file(encoder)
    digest = hashlib.sha256(deciding.encode())
    for array in (clip.target.activity, clip.target.behavior):
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"{find_checkpoint(str(encoder)).stem}-{digest.hexdigest()[:16]}.safetensors"


def hash_encoder_file(encoder: Path) -> str:
    """Return the sha256 of an encoder's file; UserError if it does not exist."""
    try:
        with find_checkpoint(str(encoder)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"encoder {encoder} cannot be read ({error.strerror}); give a checkpoint "
            "that `rtrecon train` made, or a published one"
        ) from None


def run_job(
    job: ReconstructionJob, on_progress: ProgressCallback = ignore_progress
) -> None:
    """Run a job, unless its file exists; raises UserError."""
    if job.file.is_file():
        on_progress(job.file.stem, 1.0, "reconstructed before")
        return
    if job.method != "published":
        # The compact encoder's matrices are small: more threads would only wait.
        torch.set_num_threads(1)
    result = _METHODS[job.method](job, job.source.load(), on_progress)
    tensors = {"movie": result.movie}
    tensors |= {f"lag_{lag}": movie for lag, movie in result.by_lag.items()}
    with open_atomically(job.file) as temporary:
        save_file(tensors, temporary, metadata={"passes": str(result.n_passes)})
    for begun in job.file.parent.glob(f"{_descent_state_path(job).name}.*"):
        begun.unlink()


def average_results(
    method: ReconstructionMethod, results: Sequence[JobResult]
) -> JobResult:
    """Return the mean of several encoders' movies; published movies are smoothed."""
    movie = np.asarray(np.mean([result.movie for result in results], axis=0))
    movie = movie.astype(np.float32)
    if method == "published":
        movie = gaussian_filter(movie, SMOOTHING)
    by_lag = {
        lag: np.mean([result.by_lag[lag] for result in results], axis=0)
        for lag in results[0].by_lag
    }
    return JobResult(movie, by_lag, sum(result.n_passes for result in results))


def read_job_result(file: Path) -> JobResult:
    """Read a job's result; UserError if the file cannot be read."""
    try:
        with safe_open(file, framework="numpy") as opened:
            passes = int((opened.metadata() or {})["passes"])
        tensors = load_file(file)
        movie = tensors.pop("movie")
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{file} is damaged ({error}); delete it, and the movie is reconstructed "
            "again"
        ) from None
    by_lag = {int(key.removeprefix("lag_")): value for key, value in tensors.items()}
    return JobResult(movie, dict(sorted(by_lag.items())), passes)


def _run_live(
    job: ReconstructionJob, clip: Clip, report: ProgressCallback
) -> JobResult:
    checkpoint = open_checkpoint(job.encoder, clip)
    settings = _inversion_settings(job, checkpoint.space)
    replay = reconstruct_live(
        checkpoint, clip.target, job.steps, settings, on_progress=report
    )
    return JobResult(replay.final, replay.movies, replay.n_passes)


def _run_map(job: ReconstructionJob, clip: Clip, report: ProgressCallback) -> JobResult:
    checkpoint = open_checkpoint(job.encoder, clip)
    settings = _inversion_settings(job, checkpoint.space)
    found = reconstruct_map(checkpoint, clip.target, job.steps, settings, report)
    return JobResult(found.movie, {}, found.n_passes)


def _inversion_settings(
    job: ReconstructionJob, space: StimulusSpace
) -> InversionSettings:
    require_device(job.device)
    return make_settings(space).model_copy(update={"device": job.device})


def _run_published(
    job: ReconstructionJob, clip: Clip, report: ProgressCallback
) -> JobResult:
    encoder = open_encoder(job.encoder, clip, job.mouse, job.device)
    settings = PublishedSettings(steps=job.steps)
    found = reconstruct_published(
        [encoder],
        clip.target,
        settings,
        mask=job.mask,
        state=_descent_state_path(job),
        on_progress=report,
    )
    return JobResult(found.movies[0], {}, found.n_passes)


def _descent_state_path(job: ReconstructionJob) -> Path:
    """Return the path of an unfinished descent's state, without its suffix."""
    return job.file.with_name(f"unfinished-{job.file.stem}")


_METHODS: dict[
    ReconstructionMethod,
    Callable[[ReconstructionJob, Clip, ProgressCallback], JobResult],
] = {
    "live": _run_live,
    "map": _run_map,
    "published": _run_published,
}
