"""Captured messages, and the frames that are parsed from them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.sources import RecordingError, open_recording
from rtrecon.sources.message_capture import read_capture, write_capture
from rtrecon.sources.scanimage_stream import parse_assumed_layout
from tests.support.scanimage_messages import RATE_HZ, SHAPE, make_image, make_message

MESSAGES = [[b"topic", b"", bytes(range(256))], [b"one part"], []]


def test_captured_messages_are_read_back_unchanged(tmp_path):
    path, progress = tmp_path / "a.rtrcap", []
    before_s = time.time()
    assert write_capture(path, MESSAGES, progress.append) == 3
    read = list(read_capture(path))
    assert [parts for _, parts in read] == MESSAGES
    assert all(before_s <= time_s <= time.time() for time_s, _ in read)
    assert progress == [1, 2, 3]


def test_a_truncated_capture_gives_its_complete_messages(tmp_path):
    path = tmp_path / "a.rtrcap"
    write_capture(path, MESSAGES, lambda done: None)
    whole = path.read_bytes()
    sizes = {len(list(read_capture(path)))}
    for size in range(8, len(whole)):
        path.write_bytes(whole[:size])
        sizes.add(len(read := list(read_capture(path))))
        assert [parts for _, parts in read] == MESSAGES[: len(read)]
    assert sizes == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "was not written by 'rtrecon capture'"),
        (b"RTRCAP1\n" + b"\xff" * 12, "a message of 4294967295 parts"),
        (b"RTRCAP1\n" + bytes(8) + b"\1\0\0\0" + b"\xff" * 8, "a part of 1844674407"),
    ],
)
def test_a_damaged_capture_is_refused(tmp_path, content, words):
    (tmp_path / "a.rtrcap").write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        list(read_capture(tmp_path / "a.rtrcap"))


def test_a_capture_is_opened_as_a_recording(tmp_path):
    path = tmp_path / "a.rtrcap"
    write_capture(path, [make_message(n) for n in range(1, 60)], lambda done: None)
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert (recording.shape, recording.channels) == (SHAPE, (1, 3))
        assert recording.rate_hz == pytest.approx(RATE_HZ)
    expected = [(number, channel) for number in range(1, 60) for channel in (1, 3)]
    assert [(frame.number, frame.channel) for frame in frames] == expected
    for frame in frames:
        assert np.array_equal(frame.pixels, make_image(frame.number, frame.channel))


# what is wrong -> message, words of the error
REFUSED = {
    "no JSON": ([b"frame", b"1234"], r"2 parts \(5, 4 bytes\) .*no part of it is JSON"),
    "not JSON after all": ([b"{frame"], "cannot be read: JSON is malformed"),
    "no number": ([b'{"linesPerFrame": 12}'], "missing required field `frameNumbers`"),
    "too few images": (make_message(1)[:-1], "no int16 image for each channel"),
    "too small images": (make_message(1, linesPerFrame=13), "no int16 image for each"),
    "a size below nothing": (
        make_message(1, linesPerFrame=-12, pixelsPerLine=-16),
        "Expected `int` >= 1",
    ),
    "pixels of another kind": (make_message(1, dataType="float64"), "no float64 image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_that_cannot_be_read_is_described_in_the_error(case):
    parts, words = REFUSED[case]
    with pytest.raises(RecordingError, match=words) as refusal:
        parse_assumed_layout(parts)
    assert "write some to a file with 'rtrecon capture'" in str(refusal.value)
