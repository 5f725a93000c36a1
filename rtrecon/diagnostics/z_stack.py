"""Takes a z-stack from the live frames of a microscope that steps through the tissue.

Drift in z is measured against it, see `imaging.registration.z_drift`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from rtrecon.config import NetworkSettings
from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.types import Array
from rtrecon.diagnostics.frame_sockets import open_frame_sockets
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.registration.z_drift import MIN_PLANES
from rtrecon.protocol import messages
from rtrecon.transport.sockets import Socket

_MIN_SHARE = 0.5  # of the frames of a plane


@dataclass(frozen=True)
class StackPlan:
    """What is taken: planes, frames of each, distance in um, positive downwards.

    channel: that is used, from 1; None = the session's first.
    """

    n_planes: int
    n_frames: int
    step_um: float
    channel: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no stack, with a `UserError`."""
        if self.n_planes < MIN_PLANES or self.n_frames < 1 or not self.step_um:
            raise UserError(
                f"a stack needs {MIN_PLANES} planes, a frame of each and a distance "
                f"other than 0, not {self.n_planes} planes, {self.n_frames} frames and "
                f"{self.step_um:g} um"
            )


class StackBuilder:
    """Averages registered frames of each plane, one plane after the other.

    A microscope that steps slowly sends all frames of one plane, then those of the
    next. One with fast z names the plane of each frame.
    """

    def __init__(self, plan: StackPlan, start: messages.SessionStart) -> None:
        self._plan, self._start = plan, start
        n_sent = len(start.planes)
        if n_sent > 1 and n_sent != plan.n_planes:
            raise UserError(
                f"the microscope sends {n_sent} planes, not {plan.n_planes}; give "
                f"--planes {n_sent}, or turn fast z off"
            )
        self._is_volume = n_sent > 1
        self._channel = plan.channel or start.channels[0]
        if self._channel not in start.channels:
            raise UserError(
                f"channel {self._channel} is not sent, but {start.channels}; choose "
                "one of these"
            )
        self._first: int | None = None  # counter of the first frame
        self._frames: list[list[Array]] = [[] for _ in range(plan.n_planes)]
        self._planes: list[Array | None] = [None] * plan.n_planes

    @property
    def n_complete(self) -> int:
        """How many planes have been averaged."""
        return sum(plane is not None for plane in self._planes)

    @property
    def is_complete(self) -> bool:
        """Whether all planes have been averaged."""
        return self.n_complete == self._plan.n_planes

    def add_frame(self, message: messages.Frame, pixels: Array) -> None:
        """Take a frame; UserError if too many frames of a plane were lost."""
        if message.channel != self._channel:
            return
        if self._first is None:
            self._first = message.frame
        index = message.frame - self._first
        plane = message.plane if self._is_volume else index // self._plan.n_frames
        if not self._is_volume:
            for earlier in range(min(plane, self._plan.n_planes)):
                self._finish_plane(earlier)
        if not 0 <= plane < self._plan.n_planes or self._planes[plane] is not None:
            return
        self._frames[plane].append(pixels.copy())
        is_last = index % self._plan.n_frames == self._plan.n_frames - 1
        if len(self._frames[plane]) == self._plan.n_frames or (
            is_last and not self._is_volume
        ):
            self._finish_plane(plane)

    def make_stack(self) -> Array:
        """Return (planes, lines, pixels) float32 from the top, once it is complete."""
        planes = np.stack([plane for plane in self._planes if plane is not None])
        return planes if self._plan.step_um > 0 else planes[::-1]

    def _finish_plane(self, plane: int) -> None:
        if self._planes[plane] is not None:
            return
        frames, self._frames[plane] = self._frames[plane], []
        if len(frames) < _MIN_SHARE * self._plan.n_frames:
            raise UserError(
                f"of plane {plane + 1}, {len(frames)} of {self._plan.n_frames} frames "
                "arrived; take the stack again"
            )
        try:
            self._planes[plane] = make_template(np.stack(frames))
        except ValueError as error:
            raise UserError(f"plane {plane + 1}: {error}") from None


def take_stack(
    network: NetworkSettings, plan: StackPlan, out: Path, timeout_s: float
) -> Iterator[str]:
    """Receive the frames of a stack and write it; yield notices.

    Raises UserError if nothing arrives for `timeout_s`, or the stack is incomplete.
    """
    builder: StackBuilder | None = None
    n_reported, newest_s = 0, time.monotonic()
    with open_frame_sockets(network) as received:
        yield received.address_notice
        while builder is None or not builder.is_complete:
            yield from received.wait()
            for message, pixels in _receive(received.zeromq, received.framed_tcp):
                newest_s = time.monotonic()
                if isinstance(message, messages.SessionStart):
                    builder, n_reported = StackBuilder(plan, message), 0
                    yield f"a session of {message.source} begins"
                elif isinstance(message, messages.Frame) and builder:
                    builder.add_frame(message, pixels)
            if builder and builder.n_complete > n_reported:
                n_reported = builder.n_complete
                yield f"plane {n_reported} of {plan.n_planes}"
            if time.monotonic() - newest_s > timeout_s:
                raise UserError(
                    f"nothing arrived for {timeout_s:g} s, after {n_reported} of "
                    f"{plan.n_planes} planes; no stack is written"
                )
    write_stack(out, builder.make_stack(), abs(plan.step_um))
    yield (
        f"{plan.n_planes} planes, {abs(plan.step_um):g} um apart, are written to "
        f"{out}; set registration.z_stack = '{out}' and start the daemon"
    )


def write_stack(path: Path, planes: Array, step_um: float) -> None:
    """Write planes (n, lines, pixels) float32 as TIFF, with their distance."""
    with open_atomically(path) as temporary:
        tifffile.imwrite(
            temporary,
            planes.astype(np.float32),
            imagej=True,
            metadata={"axes": "ZYX", "spacing": step_um, "unit": "um"},
        )


def _receive(*sockets: Socket) -> Iterator[tuple[messages.IncomingMessage, Array]]:
    for socket in sockets:
        while socket.poll(0):
            try:
                yield messages.decode_incoming(socket.recv_multipart())
            except messages.WireError:
                continue
