"""Fuzz targets: functions that take any bytes and fail only because of a bug.

A target checks what must hold for any input, and raises if it does not. Seeds are
messages as real senders make them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.rate_limits import MessageLimits
from rtrecon.protocol import messages
from rtrecon.transport import framing
from rtrecon.transport.framing import FramingError
from rtrecon.transport.rpc import RpcServer

Target = Callable[[bytes], None]
PART_SEPARATOR = b"\0"  # between header and payload; cannot occur in JSON
MESSAGE_SEPARATOR = b"\xff\0"  # between messages of a session
OPS = ("status", "mark", "record", "reference", "history", "stop")


def check_header(data: bytes) -> None:
    """One message of a sender: header, `PART_SEPARATOR`, payload."""
    header, _, payload = data.partition(PART_SEPARATOR)
    _decode_message(header, payload)


def check_session(data: bytes) -> None:
    """The messages of a session, accepted one after the other as by the daemon."""
    ingest, limits = Ingest(), MessageLimits(aux_rate_limit_hz=100.0)
    for time_s, part in enumerate(data.split(MESSAGE_SEPARATOR)):
        header, _, payload = part.partition(PART_SEPARATOR)
        message = _decode_message(header, payload)
        if message is None:
            ingest.count_undecodable("it does not decode")
        elif not limits.check_message(message, float(time_s)):
            verdict = ingest.accept_message(message)
            assert min(verdict.lost_in_network, verdict.lost_at_source) >= 0
        counts = ingest.counts
        assert counts.frames_accepted + counts.frames_repeated <= counts.frames_received
        assert min(counts.lost_in_network, counts.lost_at_source) >= 0


def check_published(data: bytes) -> None:
    """One published message, as a display or the daemon reads it."""
    topic, _, rest = data.partition(PART_SEPARATOR)
    header, _, payload = rest.partition(PART_SEPARATOR)
    try:
        message, array = messages.decode_published([topic, header, payload])
    except messages.WireError:
        return
    assert messages.message_type(message).encode() == topic
    assert array.nbytes in (0, len(payload))


def check_stream(data: bytes) -> None:
    """A framed TCP connection; the first byte gives the size of the pieces."""
    piece, sent = 1 + data[0] if data else 1, data[1:]
    messages = []
    try:
        for message in _parse_stream(sent, piece):
            messages.append(
                framing.encode_message(bytes(message[0]), bytes(message[1]))
            )
    except FramingError:
        pass  # the messages before were complete
    assert sent.startswith(b"".join(messages))


def check_request(data: bytes) -> None:
    """A request to the daemon."""
    control = RpcServer(None, {op: lambda _: {"sentence": "done"} for op in OPS})  # type: ignore[arg-type]  # no socket is used
    answer, attached = control.answer_request(data)
    assert isinstance(answer["ok"], bool)
    assert answer["sentence"]
    assert attached == []


def _decode_message(header: bytes, payload: bytes) -> messages.IncomingMessage | None:
    try:
        message, array = messages.decode_incoming([header, payload])
    except messages.WireError:
        return None
    assert array.nbytes == len(payload)
    assert 0 < len(message.session) <= 64
    assert message.seq >= 0
    numbers = [getattr(message, name) for name in message.__struct_fields__]
    assert all(math.isfinite(n) for n in numbers if isinstance(n, float))
    return message


def _parse_stream(sent: bytes, piece: int) -> Iterable[framing.RawMessage]:
    reader = framing.MessageParser()
    for start in range(0, len(sent), piece):
        left = memoryview(sent)[start : start + piece]
        while left:
            count = min(len(left), len(reader.buffer))
            reader.buffer[:count] = left[:count]
            left = left[count:]
            message = reader.advance(count)
            if message:
                yield message


# -- seeds -----------------------------------------------------------------------------

_PIXELS = np.arange(6, dtype=np.int16).reshape(2, 3)
_IMAGE = np.arange(6, dtype=np.uint8).reshape(2, 3)
_HEADER: dict[str, Any] = {"session": "s", "seq": 1}
_INCOMING: list[tuple[Any, Any]] = [
    (
        messages.SessionStart(
            session="s", seq=0, source="rig", rate_hz=30.0, shape=(2, 3)
        ),
        b"",
    ),
    (
        messages.Frame(**_HEADER, frame=1, t=0.0, t_send=9.0, shape=(2, 3), roi="a"),
        _PIXELS,
    ),
    (messages.StimulusFrame(**_HEADER, clip="c", index=3, t=0.5, shape=(2, 3)), _IMAGE),
    (messages.BehaviorSample(**_HEADER, t=0.5, running_speed=-1.5, pupil_x=1.0), b""),
    (messages.SyncEdge(**_HEADER, t=0.5, t_send=9.5, line=2, value=1), b""),
    (messages.SessionEnd(**_HEADER, reason="done", frames=9, dropped=1), b""),
]
_PICTURE: dict[str, Any] = {"frame": 1, "picture": 0, "t_microscope": 0.5}
_PUBLISHED: list[tuple[Any, Any]] = [
    (
        messages.DishCounts(
            **_HEADER,
            **_PICTURE,
            t=1.0,
            t_frame=3.0,
            bodies=2,
            contacts=1,
            provisional_contacts=0,
            branch_points=4,
            length_mm=0.3,
            length_mm_per_mm2=2.5,
            branch_points_per_mm2=9.0,
            area_mm2=0.1,
            neuron={"1": messages.NeuronFigures(12.5, 2, 1)},
        ),
        b"",
    ),
    (
        messages.DishBodies(**_HEADER, **_PICTURE, t=1.0, t_frame=3.0, shape=(1, 9)),
        np.ones((1, 9), np.float32),
    ),
    (
        messages.DishContacts(**_HEADER, **_PICTURE, t=1.0, t_frame=3.0, shape=(1, 10)),
        np.ones((1, 10), np.float32),
    ),
    (
        messages.DishTrace(**_HEADER, **_PICTURE, t=1.0, t_frame=3.0, shape=(2, 3)),
        np.ones((2, 3), np.uint16),
    ),
    (
        messages.FieldImage(
            **_HEADER,
            t=1.0,
            frame=1,
            shape=(2, 3),
            shift_px=(0.5, -1.0),
            confidence=0.9,
        ),
        _IMAGE,
    ),
    (
        messages.Activity(**_HEADER, t=1.0, encoder_frame=1, frame=2, t_frame=3.0),
        np.ones(4, np.float32),
    ),
    (
        messages.Movie(
            **_HEADER,
            t=1.0,
            encoder_frame=9,
            n_final=1,
            lag_s=0.4,
            shape=(1, 2, 3),
            n_steps=7,
            t_frame=3.0,
        ),
        _IMAGE,
    ),
    (
        messages.AlignedStimulus(
            **_HEADER, t=1.0, encoder_frame=9, clip="c", shape=(2, 3)
        ),
        _IMAGE,
    ),
    (
        messages.Quality(
            **_HEADER,
            t=1.0,
            encoder_frame=1,
            lag_s=0.4,
            metrics={"null_pixel_correlation": 0.1},
        ),
        b"",
    ),
    (
        messages.Spread(
            **_HEADER,
            t=1.0,
            encoder_frame=9,
            hop_frames=5,
            shape=(1, 2, 3),
            sd=20.5,
            data_share=0.4,
        ),
        _IMAGE,
    ),
    (
        messages.Health(
            **_HEADER,
            t=1.0,
            process="daemon",
            state="running",
            latency_ms={"register": messages.LatencyPercentiles(1.0, 2.0, 3.0, 4.0, 5)},
        ),
        b"",
    ),
    (messages.Event(**_HEADER, t=1.0, name="mark", message="x"), b""),
]
_SINGLE_MESSAGES = [
    PART_SEPARATOR.join(map(bytes, messages.encode_incoming(*each)))
    for each in _INCOMING
]
_FRAMED_MESSAGES = [
    framing.encode_message(*map(bytes, messages.encode_incoming(*each)))
    for each in _INCOMING
]

TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    "headers": (check_header, _SINGLE_MESSAGES),
    "session": (
        check_session,
        [
            MESSAGE_SEPARATOR.join(each)
            for each in itertools.permutations(_SINGLE_MESSAGES, 3)
        ],
    ),
    "published": (
        check_published,
        [
            PART_SEPARATOR.join(map(bytes, messages.encode_published(*each)))
            for each in _PUBLISHED
        ],
    ),
    "stream": (
        check_stream,
        [b"\x07" + b"".join(_FRAMED_MESSAGES), *(b"\0" + f for f in _FRAMED_MESSAGES)],
    ),
    "requests": (
        check_request,
        [f'{{"op": "{op}", "note": "n", "on": true}}'.encode() for op in OPS],
    ),
}
