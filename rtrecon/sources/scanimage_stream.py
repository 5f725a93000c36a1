"""Frames that ScanImage Premium (2025 and later) publishes, live or from a capture.

Not tested with a microscope: the layout of the messages is not documented, and
`parse_assumed_layout` assumes one. When a user has sent a file of `rtrecon capture`,
that function is replaced by a parser for the real layout; nothing else changes.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import zmq

from rtrecon.protocol.fields import Count, Seconds
from rtrecon.protocol.messages import PIXEL_DTYPES
from rtrecon.sources.message_capture import Message, read_capture
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.transport import sockets

MessageParser = Callable[[Message], list[RecordedFrame]]

_RECEIVE_HWM = 64  # messages that ZeroMQ queues for us: two seconds at 30 Hz
_POLL_MS = 100
# The median interval of these first frames gives the rate: one pause does not matter.
_N_RATE_FRAMES = 33


def parse_assumed_layout(message: Message) -> list[RecordedFrame]:
    """Parse JSON that describes the frame, followed by one part per channel.

    The JSON keys are assumed to be the names in ScanImage's files. Raises
    `RecordingError` for any other message.
    """
    for index, part in enumerate(message):
        if part[:1] == b"{":
            return _decode_frames(message, index)
    raise _unreadable_message(message, "no part of it is JSON")


class ScanImageStream(Recording):
    """The frames in a stream of messages, live or captured.

    Reads the first frames in advance for shape, pixel type, channels and, unless the
    hints give it, the rate. Raises `RecordingError` if no frame arrives or a message
    cannot be parsed.
    """

    def __init__(
        self,
        name: str,
        messages: Generator[Message, None, None],
        hints: RecordingHints,
        parser: MessageParser = parse_assumed_layout,
    ) -> None:
        self.name = name
        self._messages, self._parser, self._hints = messages, parser, hints
        self._upcoming = self._parse_messages()
        with ExitStack() as stack:
            stack.callback(self.close)
            self._prefetched = list(itertools.islice(self._upcoming, _N_RATE_FRAMES))
            if not self._prefetched:
                raise RecordingError(f"{name} sent no frame; is it acquiring?")
            first = self._prefetched[0]
            self.shape = (first.pixels.shape[0], first.pixels.shape[1])
            self.dtype = first.pixels.dtype
            self.channels = tuple(sorted({f.channel for f in self._prefetched}))
            self.rate_hz = hints.resolve_rate_hz(self._measure_rate_hz())
            stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames until no more messages arrive."""
        prefetched, self._prefetched = self._prefetched, []
        return itertools.chain(prefetched, self._upcoming)

    def close(self) -> None:
        """Stop receiving."""
        self._messages.close()

    def _parse_messages(self) -> Iterator[RecordedFrame]:
        for message in self._messages:
            for frame in self._parser(message):
                if self._hints.channel in (None, frame.channel):
                    yield frame

    def _measure_rate_hz(self) -> float | None:
        times = sorted({frame.t_s for frame in self._prefetched})
        intervals = [later - t for t, later in itertools.pairwise(times)]
        return 1.0 / statistics.median(intervals) if intervals else None


def open_capture(path: Path, hints: RecordingHints) -> Recording:
    """Open a file of `rtrecon capture`; raises `RecordingError`."""
    return ScanImageStream(path.name, read_captured_messages(path), hints)


def receive_messages(address: str, timeout_s: float) -> Generator[Message, None, None]:
    """Yield the messages published at an address until none arrives for `timeout_s`.

    Raises `sockets.AddressError` if the address is not valid.
    """
    sockets.split_address(address)
    context: sockets.Context = zmq.Context()
    socket = sockets.make_client_socket(context, zmq.SUB)
    try:
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_HWM)
        socket.connect(address)
        remaining_ms = round(1000 * timeout_s)
        while remaining_ms > 0:
            if socket.poll(_POLL_MS):
                yield socket.recv_multipart()
                remaining_ms = round(1000 * timeout_s)
            else:
                remaining_ms -= _POLL_MS
    finally:
        socket.close(linger=0)
        context.term()


def read_captured_messages(path: Path) -> Generator[Message, None, None]:
    """Yield the messages of a file that `rtrecon capture` wrote."""
    with closing(read_capture(path)) as messages:
        for _, message in messages:
            yield message


_SideLength = Annotated[int, msgspec.Meta(gt=0, le=2**15)]


class _FrameDescription(msgspec.Struct):
    """A frame's metadata under ScanImage's names."""

    frame_number: Count = msgspec.field(name="frameNumbers")
    time_s: Seconds = msgspec.field(name="frameTimestamps_sec")
    lines: _SideLength = msgspec.field(name="linesPerFrame")
    pixels: _SideLength = msgspec.field(name="pixelsPerLine")
    channels: list[int] = msgspec.field(name="channelSave")
    dtype: str = msgspec.field(name="dataType", default="int16")


def _decode_frames(message: Message, json_index: int) -> list[RecordedFrame]:
    try:
        described = msgspec.json.decode(message[json_index], type=_FrameDescription)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable_message(message, str(error)) from None
    images: list[Any] = message[json_index + 1 :]
    image_bytes = 2 * described.lines * described.pixels
    expected_bytes = [image_bytes] * len(described.channels)
    has_images = [len(image) for image in images] == expected_bytes
    if described.dtype not in PIXEL_DTYPES or not has_images:
        raise _unreadable_message(
            message, f"no {described.dtype} image for each channel follows"
        )
    shape = described.lines, described.pixels
    dtype = np.dtype(described.dtype).newbyteorder("<")
    return [
        RecordedFrame(
            number=described.frame_number,
            t_s=described.time_s,
            pixels=np.frombuffer(image, dtype).reshape(shape),
            channel=channel,
        )
        for channel, image in zip(described.channels, images, strict=True)
    ]


def _unreadable_message(message: Message, reason: str) -> RecordingError:
    sizes = ", ".join(str(len(part)) for part in message)
    return RecordingError(
        f"a message of {len(message)} parts ({sizes} bytes) cannot be read: {reason}; "
        "write some to a file with 'rtrecon capture' and send us that file, so that "
        "the next version can read them"
    )
