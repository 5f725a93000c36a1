"""Frames that ScanImage Premium publishes (2025 and later), live or captured.

UNTESTED with a microscope: how its messages are laid out is not documented, and none
was at hand. `parse_guess` is a guess; once somebody has sent what `rtrecon capture`
wrote, a parser that knows takes its place in `PARSERS`, and nothing else changes.
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

from rtrecon.protocol.messages import MAX_PAYLOAD_BYTES, PIXEL_TYPES, Count, Seconds
from rtrecon.sources.message_capture import Message, read_capture
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError
from rtrecon.transport import sockets

Parser = Callable[[Message], list[RecordedFrame]]

_RECEIVE_HWM = 64  # messages that may wait for us: two seconds at 30 Hz
_POLL_MS = 100
_RATE_FRAMES = 33  # read ahead for the rate; a pause in one interval is outvoted


class Published(Recording):
    """Frames that a parser finds in messages, from wherever those come.

    Looks at the first frames for shape, type, channels and, where none is given, rate.
    Raises `RecordingError` if nothing comes, or a message is not understood.
    """

    def __init__(
        self,
        name: str,
        messages: Generator[Message, None, None],
        parser: Parser,
        hints: Hints,
    ) -> None:
        self.name = name
        self._messages, self._parser, self._hints = messages, parser, hints
        self._coming = self._parsed()
        with ExitStack() as stack:
            stack.callback(self.close)
            self._ahead = list(itertools.islice(self._coming, _RATE_FRAMES))
            if not self._ahead:
                raise RecordingError(f"{name} sent no frame; is it acquiring?")
            first = self._ahead[0]
            self.shape = (first.pixels.shape[0], first.pixels.shape[1])
            self.dtype = first.pixels.dtype
            self.channels = tuple(sorted({frame.channel for frame in self._ahead}))
            self.rate_hz = hints.known_rate_hz(self._said_hz())
            stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames until no more messages come."""
        ahead, self._ahead = self._ahead, []
        return itertools.chain(ahead, self._coming)

    def close(self) -> None:
        """Stop listening."""
        self._messages.close()

    def _parsed(self) -> Iterator[RecordedFrame]:
        for message in self._messages:
            for frame in self._parser(message):
                if self._hints.channel in (None, frame.channel):
                    yield frame

    def _said_hz(self) -> float | None:
        times = sorted({frame.t_s for frame in self._ahead})
        steps = [later - t for t, later in itertools.pairwise(times)]
        return 1.0 / statistics.median(steps) if steps else None


def subscribed(address: str, silence_s: float) -> Generator[Message, None, None]:
    """Yield what is published at an address, until nothing has come for so long.

    Raises `sockets.AddressError` for what is no address.
    """
    sockets.host_and_port(address)
    context: sockets.Context = zmq.Context()
    socket: sockets.Socket = context.socket(zmq.SUB)
    try:
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_HWM)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(address)
        left_ms = round(1000 * silence_s)
        while left_ms > 0:
            if socket.poll(_POLL_MS):
                yield socket.recv_multipart()
                left_ms = round(1000 * silence_s)
            else:
                left_ms -= _POLL_MS
    finally:
        socket.close(linger=0)
        context.term()


def captured(path: Path) -> Generator[Message, None, None]:
    """Yield the messages of a file that `rtrecon capture` wrote."""
    with closing(read_capture(path)) as messages:
        for _, message in messages:
            yield message


def parse_guess(message: Message) -> list[RecordedFrame]:
    """Read what it may be like: JSON that tells the frame, then a part per channel.

    Of the JSON, names are those that ScanImage gives to the same things in its files.
    Raises `RecordingError` for anything else.
    """
    for place, part in enumerate(message):
        if part[:1] == b"{":
            return _frames_of(message, place)
    raise _not_understood(message, "no part of it is JSON")


PARSERS: dict[str, Parser] = {"guess": parse_guess}


_Side = Annotated[int, msgspec.Meta(gt=0, le=2**15)]


class _Said(msgspec.Struct):
    """Of a frame, in ScanImage's words."""

    frame_number: Count = msgspec.field(name="frameNumbers")
    time_s: Seconds = msgspec.field(name="frameTimestamps_sec")
    lines: _Side = msgspec.field(name="linesPerFrame")
    pixels: _Side = msgspec.field(name="pixelsPerLine")
    channels: list[int] = msgspec.field(name="channelSave")
    dtype: str = msgspec.field(name="dataType", default="int16")


def _frames_of(message: Message, place: int) -> list[RecordedFrame]:
    try:
        said = msgspec.json.decode(message[place], type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_understood(message, str(error)) from None
    images: list[Any] = message[place + 1 :]
    size = 2 * said.lines * said.pixels
    if said.dtype not in PIXEL_TYPES or [len(i) for i in images] != [size] * len(
        said.channels
    ):
        raise _not_understood(
            message, f"no {said.dtype} image for each channel follows"
        )
    shape = said.lines, said.pixels
    dtype = np.dtype(said.dtype).newbyteorder("<")
    return [
        RecordedFrame(
            number=said.frame_number,
            t_s=said.time_s,
            pixels=np.frombuffer(image, dtype).reshape(shape),
            channel=channel,
        )
        for channel, image in zip(said.channels, images, strict=True)
    ]


def _not_understood(message: Message, why: str) -> RecordingError:
    sizes = ", ".join(str(len(part)) for part in message)
    return RecordingError(
        f"a message of {len(message)} parts ({sizes} bytes) is not understood: {why}; "
        "write some to a file with 'rtrecon capture' and send us that, so that the "
        "next version can read them"
    )
