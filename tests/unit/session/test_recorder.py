"""Recordings: complete, running, killed, torn, and refused."""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session import recorder as recorder_module
from rtrecon.session import session as session_module
from rtrecon.session import tables
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import NotARecording, Session
from rtrecon.session.tables import ActivityRow
from rtrecon.testing.waiting import WAIT_S, until
from tests.support import session_tables as world


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "recordings", world.about())
    yield recorder
    recorder.close()


def recorded(recorder: Recorder, n_frames: int) -> Session:
    for i in range(n_frames):
        world.record(recorder, i)
    recorder.close()
    assert recorder.failure is None
    assert recorder.lost == 0
    return Session(recorder.path)


# -- what goes in comes out ----------------------------------------------------------


@pytest.mark.parametrize("n_frames", [0, 1, 24, 25, 100])
def test_every_row_comes_back(recorder: Recorder, n_frames: int):
    session = recorded(recorder, n_frames)
    numbers = np.arange(n_frames)
    assert len(session.frames) == len(session.activity) == n_frames
    assert np.array_equal(session.frames["frame"], numbers)
    assert np.array_equal(session.frames["shift_y_px"], 0.5 * numbers)
    assert np.array_equal(session.frames["trusted"], numbers % 2 == 0)
    assert np.array_equal(session.frames.values()[:, :, 0].T, [*per_trace(numbers)])
    assert np.array_equal(session.activity.values()[:, 2], numbers)
    assert np.array_equal(session.movie["index"], numbers[world.HOP - 1 :: world.HOP])
    assert [event.name for event in session.events] == [f"frame {i}" for i in numbers]


def per_trace(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return numbers, numbers / 2, -numbers


def test_images_come_back_exactly(recorder: Recorder):
    session = recorded(recorder, 40)
    assert session.stimulus.values(7, 9).tolist() == [
        world.stimulus(7).tolist(),
        world.stimulus(8).tolist(),
    ]


def test_the_front_may_reuse_its_arrays(recorder: Recorder):
    values = np.array([1.0, 2.0, 3.0])
    recorder.activity(ActivityRow(0, 0), values)
    values[:] = -1
    recorder.close()
    assert Session(recorder.path).activity.values().tolist() == [[1, 2, 3]]


def test_what_was_not_measured_is_nan(recorder: Recorder):
    recorder.behavior(messages.Behavior(session="s", seq=0, t=1.5, running_speed=2.0))
    recorder.close()
    behavior = Session(recorder.path).behavior
    assert behavior["running_speed"].tolist() == [2.0]
    assert np.isnan(behavior["pupil_x"]).all()


def test_what_the_mouse_did_at_each_frame_comes_back_in_order(recorder: Recorder):
    did = np.array([(40.0, 2.0, 150.0, 145.0), (41.0, math.nan, math.nan, -3.5)])
    for place, behaved in enumerate(did.tolist()):
        recorder.activity(ActivityRow(place, place, *behaved), np.zeros(3))
    recorder.close()
    session = Session(recorder.path)
    np.testing.assert_array_equal(session.behaved(), did)
    for place, name in enumerate(BEHAVIOR):
        np.testing.assert_array_equal(session.activity[name], did[:, place])


def test_what_an_older_version_did_not_keep_was_not_measured(recorder: Recorder):
    recorder.activity(ActivityRow(0, 0, 40.0, 2.0), np.zeros(3))
    recorder.close()
    group = zarr.open_group(recorder.path / tables.ARRAYS / "activity", mode="r+")
    group.attrs["columns"] = ["index", "frame", "pupil_dilation", "running_speed"]
    expected = [[40.0, 2.0, math.nan, math.nan]]
    np.testing.assert_array_equal(Session(recorder.path).behaved(), expected)


@pytest.mark.parametrize(
    ("told", "kept"), [(None, math.nan), ([0.5, 1.0, 0.0], 0.75), ([], math.nan)]
)
def test_how_much_of_the_final_frames_was_told_is_kept(recorder, told, kept):
    message = world.movie(9, n_frames=3, final=2, told=told)
    recorder.movie(message, np.zeros(message.shape, np.uint8))
    recorder.close()
    np.testing.assert_array_equal(Session(recorder.path).movie["told"], [kept])


def test_messages_come_back_as_they_were_published(recorder: Recorder):
    latency = {"register": messages.Percentiles(p50=1, p95=2, p99=3, max=4, n=5)}
    health = world.health(latency_ms=latency, gaps=messages.Gaps(wire=3))
    quality = messages.Quality(session="s", seq=0, t=0, index=9, lag=0.2)
    recorder.health(health)
    recorder.quality(quality)
    recorder.close()
    session = Session(recorder.path)
    assert session.health == [health]
    assert session.quality == [quality]


def test_the_session_knows_its_constants(recorder: Recorder):
    session = recorded(recorder, 1)
    assert session.about.roi_ids == world.about().roi_ids
    assert session.about.settings == {"align": {"rate_hz": 30.0}}
    assert session.about.started
    assert session.about.version


def test_any_zarr_reader_can_open_the_arrays(recorder: Recorder):
    session = recorded(recorder, 30)
    group = zarr.open_group(session.path / tables.ARRAYS, mode="r")
    assert group["frames/values"].shape == (30, 3, world.N_ROI)
    assert group["frames"].attrs["columns"][0] == "frame"


def test_a_daemon_without_neurons_records_its_frames(tmp_path: Path):
    recorder = Recorder(tmp_path, world.about(roi_ids=[], neuron_ids=[]))
    recorder.frame(world.frame_row(0), world.traces(0, n_roi=0))
    recorder.close()
    assert len(Session(recorder.path).frames) == 1


def test_the_session_says_what_it_was_made_with(tmp_path: Path):
    encoder = tmp_path / "encoder.safetensors"
    encoder.write_bytes(b"weights")
    settings = {"encoder": {"checkpoint": str(encoder)}}
    recorder = Recorder(tmp_path / "recordings", world.about(settings=settings))
    about = recorded(recorder, 1).about
    assert about.checkpoint_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert about.libraries["numpy"] == np.__version__
    assert about.machine.cores == os.cpu_count()
    assert about.machine.memory_gb > 0


def test_the_session_does_not_say_whose_machine_it_was(recorder: Recorder):
    session = recorded(recorder, 1)
    told = str(session.about.machine).lower()
    for name in (socket.gethostname(), getpass.getuser()):
        assert name.lower() not in told.split()


def test_reconstructions_can_be_left_out(tmp_path: Path):
    recorder = Recorder(tmp_path, world.about(keeps_movie=False))
    session = recorded(recorder, 30)
    assert len(session.movie) == 0
    assert len(session.frames) == len(session.stimulus) == 30


def test_a_clip_is_noted_where_it_begins(recorder: Recorder):
    for i, clip in enumerate(["a", "a", "b", "a"]):
        recorder.stimulus(i, world.stimulus(i), clip)
    recorder.close()
    clips = Session(recorder.path).clips
    assert clips == [tables.Clip(0, "a"), tables.Clip(2, "b"), tables.Clip(3, "a")]


# -- folders -------------------------------------------------------------------------


def test_daemons_started_in_the_same_second_do_not_meet(tmp_path: Path):
    recorders = [Recorder(tmp_path, world.about()) for _ in range(3)]
    for recorder in recorders:
        recorder.close()
    assert len({recorder.path for recorder in recorders}) == 3
    assert len(session_module.sessions(tmp_path)) == 3


def test_a_session_id_from_outside_never_leaves_the_folder(tmp_path: Path):
    recorder = Recorder(tmp_path / "in", world.about(session="../../../etc/x"))
    recorder.close()
    assert recorder.path.parent == tmp_path / "in"
    assert recorder.path.name.endswith("_etcx")


# -- losses and failures -------------------------------------------------------------


def test_a_full_queue_drops_the_newest_and_counts(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder_module, "QUEUE_LIMIT", 10)
    for i in range(500):
        recorder.frame(world.frame_row(i), world.traces(i))
    recorder.close()
    kept = Session(recorder.path).frames["frame"]
    assert recorder.lost > 0
    assert len(kept) + recorder.lost == 500
    assert kept[:10].tolist() == list(range(10))


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path):
    occupied = tmp_path / "recordings"
    occupied.write_text("a file where the folder should be")
    recorder = Recorder(occupied, world.about())
    world.record(recorder, 0)
    recorder.close()
    assert str(occupied) in recorder.failure
    assert recorder.lost == 4


def test_a_disk_that_fails_stops_recording_and_nothing_else(recorder: Recorder):
    for i in range(30):
        world.record(recorder, i)
    frames = recorder.path / tables.ARRAYS / "frames"
    until(lambda: (frames / "rows" / "c.0.0").exists())
    (frames / "values").rename(frames / "values-away")
    (frames / "values").write_text("a disk that takes nothing more")
    for i in range(30, 60):
        world.record(recorder, i)
    until(lambda: recorder.failure is not None)
    world.record(recorder, 60)
    recorder.close()
    assert "stopped" in recorder.failure
    assert recorder.lost >= 4
    (frames / "values").unlink()
    (frames / "values-away").rename(frames / "values")
    assert len(Session(recorder.path).frames) >= 24


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_is_full_stops_recording_and_nothing_else(tmp_path: Path):
    """No file may grow further than this: the system itself refuses to write."""
    done = subprocess.run(
        [sys.executable, world.__file__, str(tmp_path), "0.2", "--full-disk"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert "stopped: [Errno" in told["failure"]
    assert told["lost"] > 0
    session = Session(session_module.sessions(tmp_path)[0])
    kept = session.frames["frame"]
    assert 0 < len(kept) < told["frames"]
    assert np.array_equal(kept, np.arange(len(kept)))
    assert np.array_equal(session.frames.values()[:, 0, 0], kept)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_a_disk_that_stands_still_costs_only_what_the_queue_cannot_hold(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    """Writing to a pipe waits until somebody reads it, like a disk that hangs."""
    monkeypatch.setattr(recorder_module, "QUEUE_LIMIT", 50)
    stuck = recorder.path / tables.LINES["events"]
    os.mkfifo(stuck)
    recorder.event(world.event("stuck"))
    until(lambda: not recorder._queue)
    for i in range(80):
        recorder.frame(world.frame_row(i), world.traces(i))
    assert recorder.lost == 30
    with stuck.open("rb") as reader:  # the disk is back
        recorder.close(WAIT_S)
        assert b"stuck" in reader.read()
    assert recorder.failure is None
    assert Session(recorder.path).frames["frame"].tolist() == list(range(50))


def test_closing_waits_only_so_long_and_says_what_may_be_missing(recorder: Recorder):
    recorder.close(timeout_s=0.0)
    assert "could not be finished within 0.0 s" in recorder.failure


def test_values_of_the_wrong_shape_are_refused(recorder: Recorder):
    with pytest.raises(ValueError, match=r"activity.*\(4,\).*\(3,\)"):
        recorder.activity(ActivityRow(0, 0), np.zeros(4))
    with pytest.raises(ValueError, match="13 frames"):
        recorder.movie(world.movie(20, 13), np.zeros((13, *world.IMAGE), np.uint8))


# -- readable at any moment ----------------------------------------------------------


def test_a_running_recording_can_be_read(recorder: Recorder):
    for i in range(24):
        world.record(recorder, i)
    until(lambda: (recorder.path / tables.ABOUT).exists())
    until(lambda: len(Session(recorder.path).frames) == 24)


def test_a_slow_stream_is_on_disk_after_chunk_s(tmp_path: Path):
    recorder = Recorder(tmp_path, world.about(chunk_s=0.2))
    until(lambda: (recorder.path / tables.ABOUT).exists())
    for i in range(3):
        world.record(recorder, i)
        until(lambda i=i: len(Session(recorder.path).frames) == i + 1)
    recorder.close()
    assert Session(recorder.path).frames["frame"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_frames", [45, 70])
def test_kill_9_costs_at_most_the_open_chunk(tmp_path: Path, n_frames: int):
    chunk_s = 0.5
    command = [sys.executable, world.__file__, str(tmp_path), str(chunk_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == n_frames:
                process.kill()
                break
    session = Session(session_module.sessions(tmp_path)[0])
    kept = session.frames["frame"]
    # The writer looks at its queue ten times a second; on a busy machine, later.
    tolerated = round(world.RATE_HZ * (chunk_s + 0.5))
    assert n_frames - tolerated <= len(kept) <= n_frames + 1
    assert np.array_equal(kept, np.arange(len(kept)))
    assert np.array_equal(session.frames.values()[:, 0, 0], kept)
    assert np.array_equal(session.stimulus.values(0, 1)[0], world.stimulus(0))
    assert len(session.events) >= n_frames - tolerated


TORN = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("tear", TORN.values(), ids=TORN)
@pytest.mark.parametrize("array", ["rows/c.1.0", "values/c.1.0.0"])
def test_a_torn_last_chunk_costs_only_itself(recorder: Recorder, array: str, tear):
    session = recorded(recorder, 40)
    tear(session.path / tables.ARRAYS / "frames" / array)
    frames = Session(session.path).frames
    assert frames["frame"].tolist() == list(range(24))
    assert len(frames.values()) == 24


def test_a_torn_last_line_costs_only_itself(recorder: Recorder):
    session = recorded(recorder, 3)
    file = session.path / tables.LINES["events"]
    file.write_bytes(file.read_bytes()[:-9])
    assert [event.name for event in Session(session.path).events] == [
        "frame 0",
        "frame 1",
    ]


NOT_RECORDINGS = {
    "empty": (None, "holds no about.json"),
    "not JSON": (b"{", "about.json"),
    "another program's": (b'{"name": "x"}', "session"),
    "newer": (
        b'{"session": "s", "roi_ids": [], "neuron_ids": [], "format": 99}',
        "update rtrecon",
    ),
}


@pytest.mark.parametrize(
    ("content", "sentence"), NOT_RECORDINGS.values(), ids=NOT_RECORDINGS
)
def test_what_is_no_recording_is_a_sentence(tmp_path: Path, content, sentence):
    if content is not None:
        (tmp_path / tables.ABOUT).write_bytes(content)
    with pytest.raises(NotARecording, match=sentence):
        Session(tmp_path)


# -- the movie, as it stood ----------------------------------------------------------


def estimates(recorder: Recorder, hops: dict[int, int]) -> Session:
    """Record hops ({index: frames in the window}); each writes its index everywhere."""
    for index, n_frames in hops.items():
        window = np.full((n_frames, *world.IMAGE), index, np.uint8)
        recorder.movie(world.movie(index, n_frames), window)
    recorder.close()
    return Session(recorder.path)


LAGS = {  # lag in frames: {encoder frame: the hop whose estimate stood then}
    0: {5: 5, 11: 11, 17: 17},
    2: {3: 5, 4: 5, 5: 5, 9: 11, 10: 11, 11: 11, 15: 17, 16: 17, 17: 17},
    6: {
        **dict.fromkeys(range(5), 5),
        **dict.fromkeys(range(5, 11), 11),
        **dict.fromkeys(range(11, 18), 17),
    },
    99: {**dict.fromkeys(range(6), 11), **dict.fromkeys(range(6, 18), 17)},
}


@pytest.mark.parametrize(("lag", "expected"), LAGS.items(), ids=map(str, LAGS))
def test_the_movie_as_it_stood_at_a_lag(recorder: Recorder, lag: int, expected: dict):
    session = estimates(recorder, {5: 6, 11: 12, 17: 12})
    indices, frames = session.movie_at_lag(lag)
    assert dict(zip(indices, frames[:, 0, 0], strict=True)) == expected


def test_the_final_movie_has_only_final_frames(recorder: Recorder):
    indices, frames = estimates(recorder, {11: 12, 17: 12, 35: 12}).final_movie()
    finals = {0: 11, 6: 17, 24: 35}  # first of six frames each; a hole before the last
    expected = {first + n: hop for first, hop in finals.items() for n in range(6)}
    assert dict(zip(indices, frames[:, 0, 0], strict=True)) == expected


def test_no_movie_is_an_empty_movie(recorder: Recorder):
    indices, frames = estimates(recorder, {}).final_movie()
    assert indices.shape == (0,)
    assert frames.shape == (0, *world.IMAGE)
