"""What `rtrecon reconstruct` does: a clip and encoders in, a movie and figures out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter

import rtrecon
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip, Source
from rtrecon.inversion.offline.cluster import do_on_cluster
from rtrecon.inversion.offline.jobs import (
    STEPS,
    Job,
    Method,
    do,
    file_hash,
    job_name,
    read_part,
)
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.published_protocol import SMOOTHING
from rtrecon.inversion.offline.results import Outcome, figures, make_room, write
from rtrecon.inversion.offline.target import Report, silent
from rtrecon.inversion.offline.transparency_mask import EVALUATED_FROM


@dataclass(frozen=True)
class Plan:
    """What to reconstruct, how, and the folder for what comes of it.

    encoders: files; one movie each, and their mean is the reconstruction. steps: per
    hop for 'live', in all for the others; None for the usual number. mask: a .npy file
    of `rtrecon mask`; pixels outside stay gray ('published'), and figures are of those
    inside. scheduler: address of a Dask cluster; None works here. mouse, device: see
    `open_encoder`.
    """

    source: Source
    out: Path
    encoders: Sequence[Path]
    method: Method = "live"
    steps: int | None = None
    mask: Path | None = None
    scheduler: str | None = None
    mouse: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"


def reconstruct(plan: Plan, report: Report = silent) -> Outcome:
    """Reconstruct a clip; go on where an earlier try stopped. Raises UserError.

    Writes `movie.npy`, `reconstruction.mp4` (what was shown, where it is known, beside
    it) and `reconstruction.json` into `plan.out`, and what each encoder made into its
    folder `parts`.
    """
    started = time.monotonic()
    _require_sense(plan)
    clip = plan.source.load()
    if not np.isfinite(clip.target.activity).any():
        raise UserError(f"{clip.name} holds no activity; choose another stretch")
    mask = None if plan.mask is None else _clear_somewhere(plan.mask)
    jobs = _jobs(plan, clip, mask)
    _do_all(jobs, plan.scheduler, report)
    parts = [read_part(job.file) for job in jobs]
    movie = np.asarray(np.mean([part.movie for part in parts], axis=0), np.float32)
    if plan.method == "published":
        movie = gaussian_filter(movie, SMOOTHING)
    by_lag = {
        lag: np.mean([part.by_lag[lag] for part in parts], axis=0)
        for lag in parts[0].by_lag
    }
    about = _about(plan, clip, jobs) | figures(clip, movie, by_lag, mask)
    about["passes"] = sum(part.passes for part in parts)
    about["wall_s"] = round(time.monotonic() - started, 2)
    outcome = Outcome(movie, about)
    write(plan.out, clip, outcome)
    return outcome


def _require_sense(plan: Plan) -> None:
    if not plan.encoders:
        raise UserError("no encoder is given; name one with --encoder")
    if plan.steps is not None and plan.steps < 1:
        raise UserError(f"{plan.steps} steps move nothing; give 1 or more")
    make_room(plan.out / "parts")


def _clear_somewhere(path: Path) -> Array:
    mask = read_mask(path)
    if not (mask >= EVALUATED_FROM).any():
        raise UserError(
            f"mask {path} is below {EVALUATED_FROM:g} everywhere, so there are no "
            "pixels to take figures over; train it with more steps"
        )
    return mask


def _jobs(plan: Plan, clip: Clip, mask: Array | None) -> list[Job]:
    steps = plan.steps or STEPS[plan.method]
    used = mask if plan.method == "published" else None
    deciding: dict[str, object] = {
        "method": plan.method,
        "steps": steps,
        "mouse": plan.mouse,
        "mask": None if used is None else used.tolist(),
    }
    parts = (plan.out / "parts").resolve()
    return [
        Job(
            source=plan.source,
            method=plan.method,
            steps=steps,
            encoder=encoder if str(encoder) == "demo" else encoder.resolve(),
            file=parts / job_name(clip, encoder, deciding),
            mask=used,
            mouse=plan.mouse,
            device=plan.device,
        )
        for encoder in plan.encoders
    ]


def _within(report: Report, number: int, count: int) -> Report:
    """Return how a job of several reports."""
    if count == 1:
        return report
    name = f"encoder {number + 1} of {count}"
    return lambda stage, share, word: report(f"{name}, {stage}", share, word)


def _do_all(jobs: Sequence[Job], scheduler: str | None, report: Report) -> None:
    if scheduler is not None:
        do_on_cluster(jobs, scheduler, report)
        return
    for number, job in enumerate(jobs):
        do(job, _within(report, number, len(jobs)))


def _about(plan: Plan, clip: Clip, jobs: Sequence[Job]) -> dict[str, object]:
    """Return what has to be known to make the movie again."""
    return {
        "version": rtrecon.__version__,
        "clip": clip.name,
        "frames": len(clip.target),
        "rate_hz": clip.rate_hz,
        "method": plan.method,
        "steps": jobs[0].steps,
        "smoothing": SMOOTHING if plan.method == "published" else 0.0,
        "encoders": {str(job.encoder): file_hash(job.encoder) for job in jobs},
        "mask": None if plan.mask is None else str(plan.mask),
    }
