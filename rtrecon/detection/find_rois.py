"""Finds the neurons in a recording; writes a masks file and a picture of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection import builtin_detector, suite2p_detector
from rtrecon.detection.plane_movie import PlaneMovie, open_plane_movie
from rtrecon.detection.registered_movie import (
    RegisteredMovie,
    StageProgressCallback,
    register_movie,
)
from rtrecon.detection.roi_picture import draw_rois
from rtrecon.rois.readers.regions import save_regions
from rtrecon.rois.roi_set import RoiSet
from rtrecon.sources import RecordingHints

DetectionMethod = Literal["builtin", "suite2p", "auto"]

# Diameter of a soma in layer 2/3; in px if the file does not store its scale.
DIAMETER_UM, DIAMETER_PX = 10.0, 10.0
# Smaller somata vanish in the smoothing; larger ones need too much memory.
_MIN_DIAMETER_PX, _MAX_DIAMETER_PX = 4.0, 60.0


@dataclass(frozen=True)
class DetectionRequest:
    """Which neurons to find, and where to write them.

    recording: any file that `open_recording` accepts. out: the masks file. picture: a
    PNG file, or None. method auto: Suite2p if it is installed and the rate is known,
    else the built-in detector. diameter_px or diameter_um: of a soma (um only if the
    file stores its scale); None = 10 um, or 10 px without a scale. hints: what the file
    does not store, and which channel to read. plane: from 0.
    """

    recording: Path
    out: Path
    picture: Path | None = None
    method: DetectionMethod = "builtin"
    diameter_px: float | None = None
    diameter_um: float | None = None
    hints: RecordingHints = field(default_factory=RecordingHints)
    plane: int = 0


@dataclass(frozen=True)
class DetectionResult:
    """The neurons that were found.

    rois: best first, ids 0..n-1. mean: (lines, pixels), registered, in counts. notice:
    a sentence for the user if something is wrong with the recording, else empty.
    """

    rois: RoiSet
    mean: Array
    method: str
    diameter_px: float
    n_frames: int
    n_accepted: int
    notice: str

    def describe(self) -> str:
        """Return in one line what was found."""
        n_rejected = self.n_frames - self.n_accepted
        return (
            f"{len(self.rois)} neurons of about {self.diameter_px:.3g} px in "
            f"{self.n_frames} frames ({n_rejected} left out), {self.method}"
        )


def find_rois(
    request: DetectionRequest,
    on_progress: StageProgressCallback,
    settings: RegistrationSettings | None = None,
) -> DetectionResult:
    """Read a recording, find its neurons, write masks and picture.

    Raises UserError, before any long work if the request cannot be carried out.
    """
    for path in (request.out, request.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"cannot write {path}: folder {path.parent} does not exist")
    movie = open_plane_movie(request.recording, request.hints, request.plane)
    diameter_px = _choose_diameter_px(request, movie)
    registered = register_movie(movie, settings or RegistrationSettings(), on_progress)
    method = _choose_method(request.method, movie)
    rois = _run_detector(method, registered, diameter_px, movie, on_progress)
    result = DetectionResult(
        rois=replace(rois, planes=np.full_like(rois.planes, request.plane)),
        mean=registered.mean,
        method=method,
        diameter_px=diameter_px,
        n_frames=registered.n_frames,
        n_accepted=registered.n_accepted,
        notice=movie.notice,
    )
    save_regions(request.out, result.rois)
    if request.picture is not None:
        draw_rois(request.picture, result.mean, rois, result.describe())
    return result


def _choose_method(method: DetectionMethod, movie: PlaneMovie) -> DetectionMethod:
    if method != "auto":
        return method
    return "suite2p" if find_spec("suite2p") and movie.rate_hz else "builtin"


def _run_detector(
    method: DetectionMethod,
    registered: RegisteredMovie,
    diameter_px: float,
    movie: PlaneMovie,
    on_progress: StageProgressCallback,
) -> RoiSet:
    if method == "suite2p":
        return suite2p_detector.detect_neurons(registered, diameter_px, movie.rate_hz)
    return builtin_detector.detect_neurons(registered, diameter_px, on_progress)


def _choose_diameter_px(request: DetectionRequest, movie: PlaneMovie) -> float:
    diameter_px = _convert_to_px(request, movie.um_per_px)
    if not _MIN_DIAMETER_PX <= diameter_px <= _MAX_DIAMETER_PX:
        raise UserError(
            f"neurons of {diameter_px:.3g} px cannot be found; give a diameter of "
            f"{_MIN_DIAMETER_PX:g} to {_MAX_DIAMETER_PX:g} px"
        )
    return diameter_px


def _convert_to_px(request: DetectionRequest, um_per_px: float | None) -> float:
    if request.diameter_px is not None:
        return request.diameter_px
    if um_per_px is not None:
        return (request.diameter_um or DIAMETER_UM) / um_per_px
    if request.diameter_um is not None:
        raise UserError(
            f"{request.recording} does not store the size of its pixels; give the "
            "diameter in pixels"
        )
    return DIAMETER_PX
