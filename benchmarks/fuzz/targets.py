"""What takes bytes from outside: each is given any, and may fail only by a bug.

A target takes bytes, checks what must hold of whatever comes of them, and raises where
it does not. Seeds are messages as real senders make them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rtrecon.daemon.ingest import Ingest
from rtrecon.daemon.rate_limits import Limits
from rtrecon.protocol import messages
from rtrecon.transport import framed
from rtrecon.transport.control import Control
from rtrecon.transport.framed import FramingError

Target = Callable[[bytes], None]
CUT = b"\0"  # between header and payload; in JSON it cannot be
END = b"\xff\0"  # between messages of a session
OPS = ("status", "mark", "record", "reference", "history", "stop")


def headers(data: bytes) -> None:
    """One message of a sender: a header, `CUT`, and a payload."""
    header, _, payload = data.partition(CUT)
    _decoded(header, payload)


def session(data: bytes) -> None:
    """A whole session's messages, judged one after the other as the daemon does."""
    ingest, limits = Ingest(), Limits(asides_hz=100.0)
    for time_s, part in enumerate(data.split(END)):
        header, _, payload = part.partition(CUT)
        message = _decoded(header, payload)
        if message is None:
            ingest.reject("it does not decode")
        elif not limits.refusal(message, float(time_s)):
            verdict = ingest.accept(message)
            assert min(verdict.lost_wire, verdict.lost_source) >= 0
        counts = ingest.counts
        assert counts.accepted + counts.repeats <= counts.received
        assert min(counts.lost_wire, counts.lost_source) >= 0


def published(data: bytes) -> None:
    """One message of the daemon, as displays and the front (from the inverter) read."""
    topic, _, rest = data.partition(CUT)
    header, _, payload = rest.partition(CUT)
    try:
        message, array = messages.decode_published([topic, header, payload])
    except messages.WireError:
        return
    assert message.__struct_config__.tag.encode() == topic
    assert array.nbytes in (0, len(payload))


def stream(data: bytes) -> None:
    """A framed TCP connection; the first byte says in what pieces it comes."""
    piece, sent = 1 + data[0] if data else 1, data[1:]
    messages = []
    try:
        for message in _framed(sent, piece):
            messages.append(framed.encode(bytes(message[0]), bytes(message[1])))
    except FramingError:
        pass  # what came before it was whole
    assert sent.startswith(b"".join(messages))


def requests(data: bytes) -> None:
    """A request to the daemon."""
    control = Control(None, {op: lambda _: {"sentence": "done"} for op in OPS})  # type: ignore[arg-type]  # no socket is used
    answer, attached = control.answer(data)
    assert isinstance(answer["ok"], bool)
    assert answer["sentence"]
    assert attached == []


def _decoded(header: bytes, payload: bytes) -> messages.Incoming | None:
    try:
        message, array = messages.decode([header, payload])
    except messages.WireError:
        return None
    assert array.nbytes == len(payload)
    assert 0 < len(message.session) <= 64
    assert message.seq >= 0
    numbers = [getattr(message, name) for name in message.__struct_fields__]
    assert all(math.isfinite(n) for n in numbers if isinstance(n, float))
    return message


def _framed(sent: bytes, piece: int) -> Iterable[framed.Message]:
    reader = framed.Reader()
    for start in range(0, len(sent), piece):
        left = memoryview(sent)[start : start + piece]
        while left:
            count = min(len(left), len(reader.room))
            reader.room[:count] = left[:count]
            left = left[count:]
            message = reader.filled(count)
            if message:
                yield message


# -- seeds -----------------------------------------------------------------------------

_PIXELS = np.arange(6, dtype=np.int16).reshape(2, 3)
_IMAGE = np.arange(6, dtype=np.uint8).reshape(2, 3)
_FROM = {"session": "s", "seq": 1}
_SENT: list[tuple[Any, Any]] = [
    (
        messages.Start(session="s", seq=0, source="rig", rate_hz=30.0, shape=(2, 3)),
        b"",
    ),
    (
        messages.Frame(**_FROM, frame=1, t=0.0, t_send=9.0, shape=(2, 3), roi="a"),
        _PIXELS,
    ),
    (messages.Stimulus(**_FROM, clip="c", index=3, t=0.5, shape=(2, 3)), _IMAGE),
    (messages.Behavior(**_FROM, t=0.5, running_speed=-1.5, pupil_x=1.0), b""),
    (messages.Sync(**_FROM, t=0.5, t_send=9.5, line=2, value=1), b""),
    (messages.End(**_FROM, reason="done", frames=9, dropped=1), b""),
]
_SAID: list[tuple[Any, Any]] = [
    (
        messages.Field(
            **_FROM, t=1.0, frame=1, shape=(2, 3), shift_px=(0.5, -1.0), confidence=0.9
        ),
        _IMAGE,
    ),
    (
        messages.Activity(**_FROM, t=1.0, index=1, frame=2, t_frame=3.0),
        np.ones(4, np.float32),
    ),
    (
        messages.Movie(
            **_FROM,
            t=1.0,
            index=9,
            final=1,
            lag=0.4,
            shape=(1, 2, 3),
            steps=7,
            t_frame=3.0,
        ),
        _IMAGE,
    ),
    (messages.Quality(**_FROM, t=1.0, index=1, lag=0.4, null_correlation=0.1), b""),
    (
        messages.Health(
            **_FROM,
            t=1.0,
            station="front",
            state="running",
            latency_ms={"register": messages.Percentiles(1.0, 2.0, 3.0, 4.0, 5)},
        ),
        b"",
    ),
    (messages.Event(**_FROM, t=1.0, name="mark", message="x"), b""),
]
_ONE = [CUT.join(map(bytes, messages.encode(*each))) for each in _SENT]
_FRAMED = [framed.encode(*map(bytes, messages.encode(*each))) for each in _SENT]

TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    "headers": (headers, _ONE),
    "session": (
        session,
        [END.join(each) for each in itertools.permutations(_ONE, 3)],
    ),
    "published": (
        published,
        [CUT.join(map(bytes, messages.encode_published(*each))) for each in _SAID],
    ),
    "stream": (stream, [b"\x07" + b"".join(_FRAMED), *(b"\0" + f for f in _FRAMED)]),
    "requests": (
        requests,
        [f'{{"op": "{op}", "note": "n", "on": true}}'.encode() for op in OPS],
    ),
}
