"""The work of a reconstruction, an encoder at a time: small to send, kept when done.

A job says where everything is, so that it can be done here or on another machine that
sees the same folders. What it made lies in its file, under a name that tells it from
all others: whoever asks again finds it, and what was interrupted is gone on with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from rtrecon.config import InvertSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import find
from rtrecon.inversion.offline.clips import Clip, Source
from rtrecon.inversion.offline.compact import (
    MAP_STEPS,
    STEPS_PER_HOP,
    reconstruct_live,
    reconstruct_map,
)
from rtrecon.inversion.offline.encoder_files import (
    open_checkpoint,
    open_encoder,
    require_device,
)
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import Report, silent

Method = Literal["live", "map", "published"]
STEPS: dict[Method, int] = {
    "live": STEPS_PER_HOP,
    "map": MAP_STEPS,
    "published": PublishedSettings().steps,
}


@dataclass(frozen=True)
class Job:
    """One clip by one method and one encoder, to be kept at `file`.

    mask: (36, 64), see `Descent`; the published method alone uses it.
    """

    source: Source
    method: Method
    steps: int
    encoder: Path
    file: Path
    mask: Array | None = None
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class Part:
    """What a job made: movies float32 (T, 36, 64), NaN where nothing was yet.

    by_lag: as the live inversion would have shown it, by the age of its frames. passes:
    of the encoder, forward and back.
    """

    movie: Array
    by_lag: dict[int, Array]
    passes: int


def job_name(clip: Clip, encoder: Path, about: dict[str, object]) -> str:
    """Return what a job's file is called: no other job has that name.

    about: what else decides what it makes; JSON.
    """
    deciding = json.dumps(about, sort_keys=True) + file_hash(encoder)
    digest = hashlib.sha256(deciding.encode())
    for part in (clip.target.activity, clip.target.behavior):
        digest.update(np.ascontiguousarray(part).tobytes())
    return f"{find(str(encoder)).stem}-{digest.hexdigest()[:16]}.safetensors"


def file_hash(encoder: Path) -> str:
    """Return the sha256 of an encoder's file; UserError if it does not exist."""
    try:
        with find(str(encoder)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"encoder {encoder} cannot be read ({error.strerror}); give a checkpoint "
            "that `rtrecon train` made, or a published one"
        ) from None


def do(job: Job, report: Report = silent) -> None:
    """Do a job, unless it was done; raises UserError."""
    if job.file.is_file():
        report(job.file.stem, 1.0, "made before")
        return
    if job.method != "published":
        # The compact encoder's products are small: threads would wait for each other.
        torch.set_num_threads(1)
    part = _METHODS[job.method](job, job.source.load(), report)
    tensors = {"movie": part.movie}
    tensors |= {f"lag_{lag}": movie for lag, movie in part.by_lag.items()}
    half_written = job.file.with_suffix(".part")
    save_file(tensors, half_written, metadata={"passes": str(part.passes)})
    half_written.replace(job.file)
    for begun in job.file.parent.glob(f"{_begun(job).name}.*"):
        begun.unlink()


def read_part(file: Path) -> Part:
    """Read what a job made; UserError where it cannot be read."""
    try:
        with safe_open(file, framework="numpy") as opened:
            passes = int((opened.metadata() or {})["passes"])
        tensors = load_file(file)
        movie = tensors.pop("movie")
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{file} is not a movie that was made before ({error}); delete it to make "
            "it anew"
        ) from None
    by_lag = {int(key.removeprefix("lag_")): value for key, value in tensors.items()}
    return Part(movie, dict(sorted(by_lag.items())), passes)


def _live(job: Job, clip: Clip, report: Report) -> Part:
    checkpoint, settings = open_checkpoint(job.encoder, clip), _settings(job)
    replay = reconstruct_live(
        checkpoint, clip.target, job.steps, settings, report=report
    )
    return Part(replay.final, replay.movies, replay.passes)


def _map(job: Job, clip: Clip, report: Report) -> Part:
    checkpoint, settings = open_checkpoint(job.encoder, clip), _settings(job)
    settled = reconstruct_map(checkpoint, clip.target, job.steps, settings, report)
    return Part(settled.movie, {}, settled.passes)


def _settings(job: Job) -> InvertSettings:
    require_device(job.device)
    return InvertSettings(device=job.device)


def _published(job: Job, clip: Clip, report: Report) -> Part:
    encoder = open_encoder(job.encoder, clip, job.mouse, job.device)
    settings = PublishedSettings(steps=job.steps)
    made = reconstruct_published(
        [encoder],
        clip.target,
        settings,
        mask=job.mask,
        state=_begun(job),
        report=report,
    )
    return Part(made.movies[0], {}, made.passes)


def _begun(job: Job) -> Path:
    """Return where a descent on its way is kept; a suffix comes behind."""
    return job.file.with_name(f"begun-{job.file.stem}")


_METHODS: dict[Method, Callable[[Job, Clip, Report], Part]] = {
    "live": _live,
    "map": _map,
    "published": _published,
}
