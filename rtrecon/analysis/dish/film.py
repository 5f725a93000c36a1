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
from rtrecon.sources.video import decode_images

_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".gif")
_VIDEO_NOTICE = (
    "{} is a compressed 8-bit video: faint neurites may be lost, and a clock or scale "
    "bar in the picture is traced like a neurite; use the microscope's own files if "
    "you can"
)
PictureReader = Callable[[], Iterator[tuple[float, Array]]]


@dataclass(frozen=True)
class FilmRequest:
    """Which film to open, and what its file may not tell.

    um_per_px, interval_s: replace what the file tells. channel: from 1. plane: from 0,
    a plane of a stack or a position of the stage.
    """

    path: Path
    um_per_px: float | None = None
    interval_s: float | None = None
    channel: int | None = None
    plane: int | None = None


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
    if request.path.suffix.lower() in _VIDEO_SUFFIXES:
        return _open_video(request)
    hints = RecordingHints(channel=request.channel, is_rate_required=False)
    with open_recording(request.path, hints) as recording:
        channel, plane = _choose_images(request, recording)
        um_per_px = _require_scale(request, recording.um_per_px)
        interval_s = _require_interval(request, recording.rate_hz)
        n_images = recording.n_frames or 0
        n_frames = n_images // (len(recording.channels) * len(recording.planes))
        notices = (recording.notice,) if recording.notice else ()

    def read_pictures() -> Iterator[tuple[float, Array]]:
        with open_recording(request.path, hints) as recording:
            for frame in recording.frames():
                if (frame.channel, frame.plane) == (channel, plane):
                    # Numbers leave gaps where a file is missing: gaps are gaps.
                    t_s = (frame.number - 1) * interval_s
                    yield t_s, _convert_to_uint16(frame.pixels)

    name = request.path.name
    return DishFilm(name, um_per_px, interval_s, n_frames, read_pictures, notices)


def _open_video(request: FilmRequest) -> DishFilm:
    if not request.path.is_file():
        raise UserError(f"{request.path} does not exist")
    um_per_px = _require_scale(request, None)
    interval_s = _require_interval(request, math.nan)

    def read_pictures() -> Iterator[tuple[float, Array]]:
        for number, (_, picture) in enumerate(decode_images(request.path)):
            yield number * interval_s, _convert_to_uint16(picture)

    notices = (_VIDEO_NOTICE.format(request.path.name),)
    name = request.path.name
    return DishFilm(name, um_per_px, interval_s, None, read_pictures, notices)


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
            f"{request.path} has {n_planes} planes or positions; give --plane, from 0 "
            f"to {n_planes - 1}: each is a film of its own"
        )
    plane = request.plane or 0
    if not 0 <= plane < n_planes:
        raise UserError(
            f"{request.path} has no plane {plane}; give --plane, from 0 to "
            f"{n_planes - 1}"
        )
    return channels[0], plane


def _require_scale(request: FilmRequest, stored: float | None) -> float:
    um_per_px = request.um_per_px or stored
    if um_per_px is None:
        raise UserError(
            f"{request.path} does not store the size of its pixels; give --scale-um, "
            "the um per pixel in the dish (camera pixel / magnification / binning)"
        )
    return um_per_px


def _require_interval(request: FilmRequest, rate_hz: float) -> float:
    if request.interval_s is not None:
        return request.interval_s
    if math.isnan(rate_hz):
        raise UserError(
            f"{request.path} does not store the time between its pictures; give "
            "--interval-s in seconds, such as 600 for ten minutes"
        )
    return 1 / rate_hz


def _convert_to_uint16(picture: Array) -> Array:
    """Return the picture as the registration needs it; 8 bits become the upper ones."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint16) << 8
    return picture.clip(0).astype(np.uint16)
