"""Opens a film of a dish: a TIFF stack, a folder of TIFF files, or a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources import Recording, RecordingHints, open_recording

PictureReader = Callable[[], Iterator[tuple[float, Array]]]


@dataclass(frozen=True)
class FilmRequest:
    """Which film to open, and what its file may not tell.

    um_per_px, interval_s: replace what the file tells. channel: from 1. plane: from 0.
    position: of the stage, as the names of the files count them.
    """

    path: Path
    um_per_px: float | None = None
    interval_s: float | None = None
    channel: int | None = None
    plane: int | None = None
    position: int | None = None


@dataclass(frozen=True)
class DishFilm:
    """A film. read: returns an iterator of (time in s, uint16 (lines, pixels)).

    n_frames: None if unknown. notices: sentences for the user.
    """

    name: str
    um_per_px: float
    interval_s: float
    n_frames: int | None
    read: PictureReader
    notices: tuple[str, ...] = ()


def open_film(request: FilmRequest) -> DishFilm:
    """Open a film; UserError where it cannot be read, or scale or interval miss."""
    hints = RecordingHints(
        channel=request.channel,
        rate_hz=_convert_to_rate_hz(request.interval_s),
        um_per_px=request.um_per_px,
        position=request.position,
        is_rate_required=False,
    )
    with open_recording(request.path, hints) as recording:
        channel, plane = _choose_images(request, recording)
        um_per_px = _require_scale(request, recording)
        interval_s = _require_interval(request, recording)
        n_images = recording.n_frames or 0
        n_frames = n_images // (len(recording.channels) * len(recording.planes))
        notices = (recording.notice,) if recording.notice else ()

    def read_pictures() -> Iterator[tuple[float, Array]]:
        with open_recording(request.path, hints) as recording:
            first_s: float | None = None
            for frame in recording.frames():
                if (frame.channel, frame.plane) == (channel, plane):
                    first_s = frame.t_s if first_s is None else first_s
                    yield frame.t_s - first_s, frame.pixels.astype(np.uint16)

    name = request.path.name
    return DishFilm(name, um_per_px, interval_s, n_frames, read_pictures, notices)


def _convert_to_rate_hz(interval_s: float | None) -> float | None:
    if interval_s is not None and not 0 < interval_s < math.inf:
        raise UserError(
            f"--interval-s {interval_s:g} is impossible; give the seconds between two "
            "pictures"
        )
    return None if interval_s is None else 1 / interval_s


def _choose_images(request: FilmRequest, recording: Recording) -> tuple[int, int]:
    """Return the channel and the plane to trace; UserError where there are several."""
    channels, n_planes = recording.channels, len(recording.planes)
    if request.channel is None and len(channels) > 1:
        raise UserError(
            f"{request.path} has the channels {', '.join(map(str, channels))}; give "
            "--channel with that of the neurites"
        )
    if request.plane is None and n_planes > 1:
        raise UserError(
            f"{request.path} has {n_planes} planes; give --plane, from 0 "
            f"to {n_planes - 1}: each is a film of its own"
        )
    plane = request.plane or 0
    if not 0 <= plane < n_planes:
        raise UserError(
            f"{request.path} has no plane {plane}; give --plane, from 0 to "
            f"{n_planes - 1}"
        )
    return channels[0], plane


def _require_scale(request: FilmRequest, recording: Recording) -> float:
    if recording.um_per_px is None:
        raise UserError(
            f"{request.path} does not store the size of its pixels; give --scale-um, "
            "the um per pixel in the dish (camera pixel / magnification / binning)"
        )
    return recording.um_per_px


def _require_interval(request: FilmRequest, recording: Recording) -> float:
    if math.isnan(recording.rate_hz):
        raise UserError(
            f"{request.path} does not store the time between its pictures; give "
            "--interval-s in seconds, such as 600 for ten minutes"
        )
    return 1 / recording.rate_hz
