"""One channel of one plane of a recording, read as often as the detector needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, isnan
from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources import RecordingHints, open_recording


@dataclass(frozen=True)
class PlaneMovie:
    """The frames in which neurons are to be found.

    shape: (lines, pixels). n_frames: of the plane; a truncated last volume may have one
    frame less. frames: each call yields all frames from the first, int16 or uint16.
    rate_hz, um_per_px: None if the file does not store them. notice: a sentence for
    the user if something is wrong with the file, else empty.
    """

    shape: tuple[int, int]
    n_frames: int
    frames: Callable[[], Iterator[Array]]
    rate_hz: float | None = None
    um_per_px: float | None = None
    notice: str = ""


def open_plane_movie(
    path: Path | str, hints: RecordingHints, plane: int = 0
) -> PlaneMovie:
    """Read what the file at `path` stores about a plane; raises UserError.

    path: any recording that `open_recording` accepts; no rate is needed. hints: its
    channel selects the channel to read, None = the first that was saved. plane: from 0.
    """
    hints = replace(hints, is_rate_required=False)
    with open_recording(path, hints) as recording:
        n_planes, n_channels = len(recording.planes), len(recording.channels)
        if not 0 <= plane < n_planes:
            raise UserError(
                f"plane {plane} is not in {path}; it has {n_planes} plane(s), counted "
                "from 0"
            )
        hints = replace(hints, channel=recording.channels[0])
        n_frames = recording.n_frames
        if n_channels > 1 and n_frames is not None:  # channels may differ in length
            with open_recording(path, hints) as single_channel:
                n_frames = single_channel.n_frames

        def read_frames() -> Iterator[Array]:
            return _read_plane_frames(path, hints, plane)

        return PlaneMovie(
            shape=recording.shape,
            n_frames=(
                sum(1 for _ in read_frames())
                if n_frames is None
                else ceil(n_frames / n_planes)
            ),
            frames=read_frames,
            rate_hz=None if isnan(recording.rate_hz) else recording.rate_hz,
            um_per_px=recording.um_per_px,
            notice=recording.notice,
        )


def _read_plane_frames(
    path: Path | str, hints: RecordingHints, plane: int
) -> Iterator[Array]:
    # Opened anew for each pass: captured messages can be read only once per opening.
    with open_recording(path, hints) as recording:
        for frame in recording.frames():
            if frame.plane == plane:
                yield frame.pixels
