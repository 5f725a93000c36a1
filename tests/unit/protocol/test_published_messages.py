"""What the daemon publishes: encoding, decoding, and bytes that are no message."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.protocol.messages import WireError
from tests.support.decoding import or_reason

OUT = {"session": "s", "seq": 0, "t": 1.0}
MAP = np.arange(6, dtype=np.float32).reshape(2, 3)
IMAGE = np.arange(6, dtype=np.uint8).reshape(2, 3)
PUBLISHED = {
    "field": (
        messages.FieldImage(
            **OUT, frame=1, shape=(2, 3), shift_px=(0.5, -1.0), confidence=0.9
        ),
        IMAGE,
    ),
    "activity": (
        messages.Activity(
            **OUT,
            encoder_frame=1,
            frame=2,
            t_frame=3.0,
            behavior=(None, 2.0, 1.5, None),
        ),
        np.array([0.5, np.nan, -1.0], np.float32),
    ),
    "activity of nobody": (
        messages.Activity(**OUT, encoder_frame=1, frame=2, t_frame=3.0),
        np.empty(0, np.float32),
    ),
    "movie": (
        messages.Movie(
            **OUT,
            encoder_frame=9,
            n_final=1,
            lag_s=0.4,
            shape=(2, 2, 3),
            n_steps=7,
            t_frame=3.0,
        ),
        np.stack([IMAGE, IMAGE + 6]),
    ),
    "stimulus": (
        messages.AlignedStimulus(**OUT, encoder_frame=1, clip="c", shape=(2, 3)),
        IMAGE,
    ),
    "quality": (
        messages.Quality(**OUT, encoder_frame=1, lag_s=0.4),
        np.empty(0, np.uint8),
    ),
    "quality with predictions": (
        messages.Quality(
            **OUT,
            encoder_frame=1,
            lag_s=0.4,
            held_out=messages.HeldOutPrediction(-3, [4, 9], [[0.5, 0.25], [1.0, -0.5]]),
        ),
        np.empty(0, np.uint8),
    ),
    "quality with a map": (
        messages.Quality(
            **OUT,
            encoder_frame=1,
            lag_s=0.4,
            shape=(2, 3),
            metrics={"null_pixel_correlation": 0.1},
        ),
        MAP,
    ),
    "spread": (
        messages.Spread(
            **OUT,
            encoder_frame=9,
            hop_frames=5,
            shape=(1, 2, 3),
            sd=20.5,
            data_share=0.4,
        ),
        IMAGE[None],
    ),
    "health": (
        messages.Health(
            **OUT,
            process="daemon",
            state="running",
            gaps=messages.GapCounts(1, 2, 3),
            latency_ms={"register": messages.LatencyPercentiles(1.0, 2.0, 3.0, 4.0, 5)},
        ),
        np.empty(0, np.uint8),
    ),
    "event": (messages.Event(**OUT, name="mark", message="x"), np.empty(0, np.uint8)),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_published_messages_survive_encoding_and_decoding(case):
    message, payload = PUBLISHED[case]
    parts = messages.encode_published(message, payload)
    found, array = messages.decode_published(parts)
    assert found == message
    assert bytes(parts[0]).decode() in messages.TOPICS
    assert (array.dtype, array.shape) == (payload.dtype, payload.shape)
    np.testing.assert_array_equal(array, payload)


@pytest.mark.parametrize("n_values", [2, 5])
def test_activity_with_another_number_of_behaviour_values_is_refused(n_values):
    message = messages.Activity(**OUT, encoder_frame=1, frame=2, t_frame=3.0)
    topic, header, payload = messages.encode_published(message)
    fields = json.loads(header) | {"behavior": [1.0] * n_values}
    with pytest.raises(WireError, match=f"length {len(BEHAVIOR)}"):
        messages.decode_published([topic, json.dumps(fields).encode(), payload])


MALFORMED_PUBLISHED = {
    "two parts": (lambda parts: parts[:2], "2 parts, expected 3"),
    "another topic": (lambda parts: [b"health", *parts[1:]], "carries a movie header"),
    "no header": (lambda parts: [parts[0], b"", parts[2]], "does not parse"),
    "too few bytes": (lambda parts: [*parts[:2], b"\0"], "payload is 1 bytes"),
}


@pytest.mark.parametrize("case", MALFORMED_PUBLISHED)
def test_an_invalid_published_message_is_refused(case):
    damage, words = MALFORMED_PUBLISHED[case]
    parts = messages.encode_published(*PUBLISHED["movie"])
    with pytest.raises(WireError, match=words):
        messages.decode_published(damage(parts))


def test_activity_with_an_incomplete_number_is_refused():
    parts = messages.encode_published(*PUBLISHED["activity"])
    with pytest.raises(WireError, match=r"payload is 7 bytes.*needs 4"):
        messages.decode_published([*parts[:2], bytes(7)])


@settings(deadline=None)
@given(
    topic=st.sampled_from(messages.TOPICS).map(str.encode) | st.binary(max_size=9),
    header=st.sampled_from(sorted(PUBLISHED)).map(
        lambda case: msgspec.json.encode(PUBLISHED[case][0])
    )
    | st.binary(max_size=99),
    payload=st.binary(max_size=64),
)
def test_decoding_any_published_bytes_gives_a_message_or_a_reason(
    topic, header, payload
):
    decoded = or_reason(messages.decode_published, [topic, header, payload])
    assert decoded is None or decoded[0].session == "s"
