from __future__ import annotations

import json
import math

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR, NO_BEHAVIOR
from rtrecon.protocol.messages import WireError
from tests.support.decoding import or_reason

PIXELS = np.array([[1, -2, 3], [256, -16384, 32767]], np.int16)
PIXEL_BYTES = bytes.fromhex("0100 feff 0300 0001 00c0 ff7f")

# What a sender in any language must produce -> what it means.
GOLDEN = {
    "start": (
        b'{"type":"start","session":"s","seq":0,"v":1,"source":"rig","rate_hz":30.0,'
        b'"shape":[2,3],"dtype":"int16","channels":[1],"planes":[0.0],"rois":null,'
        b'"can_wait":false,"rate_unit":null,"meta":{"zoom":1.5}}',
        b"",
        messages.SessionStart(
            session="s",
            seq=0,
            source="rig",
            rate_hz=30.0,
            shape=(2, 3),
            meta={"zoom": 1.5},
        ),
    ),
    "frame": (
        b'{"type":"frame","session":"s","seq":1,"v":1,"frame":7,"t":0.25,"t_send":9.5,'
        b'"shape":[2,3],"dtype":"int16","channel":2,"plane":0,"roi":null,"dropped":4}',
        PIXEL_BYTES,
        messages.Frame(
            session="s",
            seq=1,
            frame=7,
            t=0.25,
            t_send=9.5,
            shape=(2, 3),
            channel=2,
            dropped=4,
        ),
    ),
    "stimulus": (
        b'{"type":"stimulus","session":"s","seq":2,"v":1,"clip":"c","index":3,"t":0.5,'
        b'"t_send":null,"shape":[1,2],"dtype":"uint8","space":"video"}',
        b"\x00\xff",
        messages.StimulusFrame(
            session="s", seq=2, clip="c", index=3, t=0.5, shape=(1, 2)
        ),
    ),
    "behavior": (
        b'{"type":"behavior","session":"s","seq":3,"v":1,"t":0.5,"t_send":null,'
        b'"pupil_dilation":null,"running_speed":-1.5,"pupil_x":null,"pupil_y":null}',
        b"",
        messages.BehaviorSample(session="s", seq=3, t=0.5, running_speed=-1.5),
    ),
    "sync": (
        b'{"type":"sync","session":"s","seq":4,"v":1,"t":0.5,"t_send":9.5,"line":2,'
        b'"value":1}',
        b"",
        messages.SyncEdge(session="s", seq=4, t=0.5, t_send=9.5, line=2, value=1),
    ),
    "end": (
        b'{"type":"end","session":"s","seq":5,"v":1,"reason":"done","frames":9,'
        b'"dropped":1}',
        b"",
        messages.SessionEnd(session="s", seq=5, reason="done", frames=9, dropped=1),
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_reference_bytes_decode_to_their_message_and_back(case):
    header, payload, message = GOLDEN[case]
    found, pixels = messages.decode_incoming([header, payload])
    assert found == message
    assert pixels.tobytes() == payload
    encoded, sent = messages.encode_incoming(message, payload)
    # JSON objects have no order, so a sender may use any.
    assert (json.loads(encoded), sent) == (json.loads(header), payload)


def test_pixels_keep_order_and_value_and_are_read_only():
    header, payload, message = GOLDEN["frame"]
    _, pixels = messages.decode_incoming([header, payload])
    assert np.array_equal(pixels, PIXELS)
    assert not pixels.flags.writeable
    assert bytes(messages.encode_incoming(message, PIXELS)[1]) == PIXEL_BYTES


@pytest.mark.parametrize(
    "pixels",
    [PIXELS.astype(">i2"), np.asfortranarray(PIXELS), PIXELS.repeat(2, 1)[:, ::2]],
    ids=["big-endian", "column-major", "strided"],
)
def test_pixels_are_sent_little_endian_and_row_by_row(pixels):
    assert bytes(messages.encode_incoming(GOLDEN["frame"][2], pixels)[1]) == PIXEL_BYTES


def test_missing_fields_get_defaults_and_unknown_fields_are_ignored():
    header = {
        "type": "frame",
        "session": "s",
        "seq": 0,
        "frame": 1,
        "t": 0,
        "t_send": 0,
    }
    header |= {"shape": [1, 1], "invented": {"later": [1, 2]}}
    message, _ = messages.decode_incoming([json.dumps(header).encode(), b"\0\0"])
    assert (message.dtype, message.channel, message.roi) == ("int16", 1, None)


def test_behaviour_values_have_the_order_of_the_behaviour_names():
    values = {name: 10.0 + index for index, name in enumerate(BEHAVIOR)}
    message = messages.BehaviorSample(session="s", seq=0, **values)
    assert message.behavior_values() == (10.0, 11.0, 12.0, 13.0)
    alone = messages.BehaviorSample(session="s", seq=0, pupil_y=1.5)
    assert alone.behavior_values() == (*NO_BEHAVIOR[1:], 1.5)


def test_the_ids_of_units_are_the_payload_of_their_start_message():
    ids = np.arange(100_000) * 10**9
    start = messages.SessionStart(
        session="s",
        seq=0,
        source="rig",
        rate_hz=30.0,
        shape=(1, len(ids)),
        dtype="float32",
    )
    decoded, payload = messages.decode_incoming(messages.encode_incoming(start, ids))
    assert decoded == start
    assert payload.dtype == np.int64
    assert np.array_equal(payload, ids)


def test_a_stimulus_message_may_have_no_pixels():
    message = messages.StimulusFrame(
        session="s", seq=0, clip="c", index=3, shape=(36, 64)
    )
    assert messages.decode_incoming(messages.encode_incoming(message))[1].size == 0


def test_message_parts_may_be_zmq_frames():
    header, payload, message = GOLDEN["frame"]
    found, pixels = messages.decode_incoming([zmq.Frame(header), zmq.Frame(payload)])
    assert found == message
    assert np.array_equal(pixels, PIXELS)


def changed(case, **fields):
    """The golden header with some fields changed; `...` takes one away."""
    header = json.loads(GOLDEN[case][0]) | fields
    header = {key: value for key, value in header.items() if value is not ...}
    return [json.dumps(header).encode(), GOLDEN[case][1]]


FRAME, START = GOLDEN["frame"][0], GOLDEN["start"][0]
BOMB = b'{"type":"start","meta":{"a":' + b"[" * 60_000
UNIT_IDS = np.array([7, -3], np.int64)
RATES = {"shape": [1, 2], "dtype": "float32"}
# what arrives -> words of the reason
MALFORMED = {
    "no part": ([], "0 parts"),
    "one part": ([FRAME], "1 parts"),
    "three parts": ([FRAME, PIXEL_BYTES, b""], "3 parts"),
    "not JSON": ([b"frame 7", b""], "does not parse"),
    "empty header": ([b"", b""], "does not parse"),
    "JSON cut short": ([FRAME[:-1], PIXEL_BYTES], "does not parse"),
    "no object": ([b"[1, 2]", b""], "does not parse"),
    "not UTF-8": ([b'{"type":"\xff\xfe"}', b""], "does not parse"),
    "not UTF-8 in a name": ([FRAME.replace(b'"s"', b'"\xff"'), b""], "does not parse"),
    "too long": (
        [FRAME + b" " * messages.MAX_HEADER_BYTES, PIXEL_BYTES],
        "more than the",
    ),
    "a bomb of brackets": ([BOMB, b""], "does not parse"),
    "a bomb well closed": ([BOMB[:30_000] + b"]" * 29_972 + b"}}", b""], "not parse"),
    "unknown type": (changed("frame", type="image"), "Invalid value 'image'"),
    "no type": (changed("frame", type=...), "missing required field `type`"),
    "another version": (changed("frame", v=2), r"Invalid enum value 2 - at `\$.v`"),
    "no session": (changed("frame", session=...), "field `session`"),
    "session too long": (changed("frame", session="s" * 65), "length <= 64"),
    "empty session": (changed("frame", session=""), "length >= 1"),
    "no seq": (changed("frame", seq=...), "field `seq`"),
    "negative seq": (changed("frame", seq=-1), r"`int` >= 0 - at `\$.seq`"),
    "fractional seq": (changed("frame", seq=0.5), r"Expected `int`.*seq"),
    "endless seq": (changed("frame", seq=10**30), r"at `\$.seq`"),
    "seq as text": (changed("frame", seq="1"), r"Expected `int`.*seq"),
    "dtype not allowed": (changed("frame", dtype="float64"), "Invalid enum value"),
    "dtype that would be code": (changed("frame", dtype="O"), "Invalid enum value"),
    "three sides": (changed("frame", shape=[1, 2, 3]), "length 2"),
    "negative side": (changed("frame", shape=[-2, -3]), "a side that is not positive"),
    "no side": (changed("frame", shape=[0, 3]), "a side that is not positive"),
    "huge sides": (changed("frame", shape=[2**40, 2**40]), "more than the"),
    "too few bytes": ([FRAME, PIXEL_BYTES[:-1]], "payload is 11 bytes.*needs 12"),
    "too many bytes": ([FRAME, PIXEL_BYTES + b"\0"], "payload is 13 bytes.*needs 12"),
    "no pixels": ([FRAME, b""], "payload is 0 bytes"),
    "time not a number": ([FRAME.replace(b"0.25", b"NaN"), PIXEL_BYTES], "not parse"),
    "infinite time": ([FRAME.replace(b"0.25", b"1e999"), PIXEL_BYTES], "out of range"),
    "time beyond any clock": (changed("frame", t=1e300), r"at `\$.t`"),
    "no time": (changed("frame", t=None), r"at `\$.t`"),
    "start with pixels": ([START, b"\0\0"], "start message carries 2 bytes"),
    "start of rates without ids": (changed("start", **RATES), "carries 0 bytes"),
    "start of rates with an id less": (
        [changed("start", **RATES)[0], UNIT_IDS[:1].tobytes()],
        "carries 8 bytes",
    ),
    "start of rates with the same id twice": (
        [changed("start", **RATES)[0], UNIT_IDS[[0, 0]].tobytes()],
        "the same unit id twice",
    ),
    "start of rates in two lines": (
        [changed("start", shape=[2, 1], dtype="float32")[0], UNIT_IDS.tobytes()],
        r"have the shape \[1, units\]",
    ),
    "start of no size": (changed("start", shape=[0, 512]), "not positive"),
    "start too large": (changed("start", shape=[10**6, 10**6]), "more than the"),
    "rate of nothing": (changed("start", rate_hz=0), r"at `\$.rate_hz`"),
    "negative rate": (changed("start", rate_hz=-30), r"at `\$.rate_hz`"),
    "end with pixels": ([GOLDEN["end"][0], b"\0"], "end message carries 1 bytes"),
    "stimulus of 16 bit": (changed("stimulus", dtype="int16"), "Invalid enum value"),
    "stimulus with no shape": (changed("stimulus", shape=None), "no 'shape'"),
    "stimulus of other size": (changed("stimulus", shape=[3, 3]), "needs 9"),
    "speed beyond reason": (changed("behavior", running_speed=1e30), "running_speed"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_an_invalid_message_is_refused_with_a_reason(case):
    parts, words = MALFORMED[case]
    with pytest.raises(WireError, match=words):
        messages.decode_incoming(parts)


TEXT = st.text('aé☃"\\\0', max_size=9)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
SHAPES = st.lists(st.integers(-3, 2**20), max_size=4)


@st.composite
def headers(draw):
    """A golden header of which a few fields say something else."""
    header = json.loads(GOLDEN[draw(st.sampled_from(sorted(GOLDEN)))][0])
    for name in draw(st.lists(st.sampled_from(sorted(header)), max_size=3)):
        header[name] = draw(SHAPES if name == "shape" else VALUES)
    return json.dumps(header).encode()


@settings(deadline=None)
@given(header=headers() | st.binary(max_size=200), payload=st.binary(max_size=64))
def test_decoding_any_bytes_gives_a_valid_message_or_a_reason(header, payload):
    decoded = or_reason(messages.decode_incoming, [header, payload])
    if decoded is None:
        return
    message, pixels = decoded
    assert pixels.nbytes == len(payload)
    assert 0 < len(message.session) <= 64
    assert message.seq >= 0
    for name in message.__struct_fields__:
        value = getattr(message, name)
        assert not isinstance(value, float) or math.isfinite(value)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=9), max_size=4))
def test_any_other_number_of_parts_is_refused(parts):
    with pytest.raises(WireError):
        messages.decode_incoming(parts)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(messages.PIXEL_DTYPES),
    seed=st.integers(0, 99),
)
def test_any_frame_survives_encoding_and_decoding(shape, dtype, seed):
    bits = np.random.default_rng(seed).integers(0, 2**16, shape, dtype=np.uint16)
    pixels = bits.view(dtype)
    message = messages.Frame(
        session="s", seq=1, frame=2, t=0.1, t_send=1.0, shape=shape, dtype=dtype
    )
    found, array = messages.decode_incoming(messages.encode_incoming(message, pixels))
    assert found == message
    np.testing.assert_array_equal(array, pixels)
