"""From a recording to a masks file and a picture of what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from rtrecon.config import RegisterSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection import builtin, suite2p
from rtrecon.detection.movie import Movie, open_movie
from rtrecon.detection.picture import draw_rois
from rtrecon.detection.registered_movie import Report, Steady, make_steady
from rtrecon.rois.readers.regions import save_regions
from rtrecon.rois.roi_set import RoiSet

Method = Literal["builtin", "suite2p", "auto"]

# A soma of layer 2/3 as the microscope sees it; in px where nobody knows the scale.
DIAMETER_UM, DIAMETER_PX = 10.0, 10.0
# What a template of the coarsest kind, and a patch of 1000 bins, can still hold.
_SMALLEST_PX, _LARGEST_PX = 4.0, 60.0


@dataclass(frozen=True)
class Plan:
    """What to look for, and where the answer goes.

    recording: a TIFF file. out: the masks file. picture: a PNG, if any. method auto:
    Suite2p where it is installed, else the built-in detector. diameter_px or
    diameter_um of a soma (um only where the file tells the scale); none = 10 um, or
    10 px. channel: 1-based, plane: from 0, of a ScanImage file.
    """

    recording: Path
    out: Path
    picture: Path | None = None
    method: Method = "builtin"
    diameter_px: float | None = None
    diameter_um: float | None = None
    channel: int | None = None
    plane: int = 0


@dataclass(frozen=True)
class Found:
    """rois: best first, ids 0..n-1. mean (lines, pixels): registered, counts.

    notice: a sentence where the recording is not what it should be, else empty.
    """

    rois: RoiSet
    mean: Array
    method: str
    diameter_px: float
    n_frames: int
    n_trusted: int
    notice: str

    def sentence(self) -> str:
        """Return what was found, in one line."""
        left_out = self.n_frames - self.n_trusted
        return (
            f"{len(self.rois)} neurons of about {self.diameter_px:.3g} px in "
            f"{self.n_frames} frames ({left_out} left out), {self.method}"
        )


def find_rois(
    plan: Plan, report: Report, settings: RegisterSettings | None = None
) -> Found:
    """Read a recording, find its neurons, write masks and picture.

    Raises UserError at once for what cannot be carried out.
    """
    for path in (plan.out, plan.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"cannot write {path}: folder {path.parent} does not exist")
    with open_movie(plan.recording, plan.channel, plan.plane) as movie:
        diameter_px = _diameter_px(plan, movie)
        steady = make_steady(movie, settings or RegisterSettings(), report)
        method, rois = _detected(plan.method, steady, diameter_px, movie, report)
        notice = movie.notice
    found = Found(
        rois=replace(rois, planes=np.full_like(rois.planes, plan.plane)),
        mean=steady.mean,
        method=method,
        diameter_px=diameter_px,
        n_frames=steady.n_frames,
        n_trusted=steady.n_trusted,
        notice=notice,
    )
    save_regions(plan.out, found.rois)
    if plan.picture is not None:
        draw_rois(plan.picture, found.mean, rois, found.sentence())
    return found


def _detected(
    method: Method, steady: Steady, diameter_px: float, movie: Movie, report: Report
) -> tuple[str, RoiSet]:
    if method == "auto":
        method = "suite2p" if find_spec("suite2p") and movie.rate_hz else "builtin"
    if method == "suite2p":
        return method, suite2p.detect(steady, diameter_px, movie.rate_hz)
    return method, builtin.detect(steady, diameter_px, report)


def _diameter_px(plan: Plan, movie: Movie) -> float:
    diameter_px = _in_px(plan, movie.um_per_px)
    if not _SMALLEST_PX <= diameter_px <= _LARGEST_PX:
        raise UserError(
            f"neurons of {diameter_px:.3g} px cannot be found; those of "
            f"{_SMALLEST_PX:g} to {_LARGEST_PX:g} px can. Is the diameter right?"
        )
    return diameter_px


def _in_px(plan: Plan, um_per_px: float | None) -> float:
    if plan.diameter_px is not None:
        return plan.diameter_px
    if um_per_px is not None:
        return (plan.diameter_um or DIAMETER_UM) / um_per_px
    if plan.diameter_um is not None:
        raise UserError(
            f"{plan.recording} does not say how large its pixels are; give the "
            "diameter in pixels"
        )
    return DIAMETER_PX
