"""The recorder: what it writes can be read; failures and losses are reported."""

from __future__ import annotations

import getpass
import hashlib
import math
import os
import socket
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
from rtrecon.session.about import Clip
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from rtrecon.testing.waiting import WAIT_S, wait_until
from tests.support import session_tables as world


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "recordings", world.make_about())
    yield recorder
    recorder.close()


def record_session(recorder: Recorder, n_frames: int) -> Session:
    for i in range(n_frames):
        world.record_frame(recorder, i)
    recorder.close()
    assert recorder.failure is None
    assert recorder.n_lost == 0
    return Session(recorder.path)


# -- what is recorded can be read -----------------------------------------------------


@pytest.mark.parametrize("n_frames", [0, 1, 24, 25, 100])
def test_every_row_comes_back(recorder: Recorder, n_frames: int):
    session = record_session(recorder, n_frames)
    numbers = np.arange(n_frames)
    assert len(session.frames) == len(session.activity) == n_frames
    assert np.array_equal(session.frames["frame"], numbers)
    assert np.array_equal(session.frames["shift_y_px"], 0.5 * numbers)
    assert np.array_equal(session.frames["is_accepted"], numbers % 2 == 0)
    assert np.array_equal(
        session.frames.read_values()[:, :, 0].T, [*per_trace(numbers)]
    )
    assert np.array_equal(session.activity.read_values()[:, 2], numbers)
    assert np.array_equal(
        session.movie["encoder_frame"], numbers[world.HOP - 1 :: world.HOP]
    )
    assert [event.name for event in session.events] == [f"frame {i}" for i in numbers]


def per_trace(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return numbers, numbers / 2, -numbers


def test_images_come_back_exactly(recorder: Recorder):
    session = record_session(recorder, 40)
    assert session.stimulus.read_values(7, 9).tolist() == [
        world.make_stimulus(7).tolist(),
        world.make_stimulus(8).tolist(),
    ]


def test_the_daemon_may_reuse_its_arrays(recorder: Recorder):
    values = np.array([1.0, 2.0, 3.0])
    recorder.add_activity(ActivityRow(0, 0), values)
    values[:] = -1
    recorder.close()
    assert Session(recorder.path).activity.read_values().tolist() == [[1, 2, 3]]


def test_a_value_that_was_not_measured_is_nan(recorder: Recorder):
    recorder.add_behavior(
        messages.BehaviorSample(session="s", seq=0, t=1.5, running_speed=2.0)
    )
    recorder.close()
    behavior = Session(recorder.path).behavior
    assert behavior["running_speed"].tolist() == [2.0]
    assert np.isnan(behavior["pupil_x"]).all()


def test_behavior_at_each_encoder_frame_comes_back_in_order(recorder: Recorder):
    behavior = np.array([(40.0, 2.0, 150.0, 145.0), (41.0, math.nan, math.nan, -3.5)])
    for index, values in enumerate(behavior.tolist()):
        recorder.add_activity(ActivityRow(index, index, *values), np.zeros(3))
    recorder.close()
    session = Session(recorder.path)
    np.testing.assert_array_equal(session.read_encoder_behavior(), behavior)
    for index, name in enumerate(BEHAVIOR):
        np.testing.assert_array_equal(session.activity[name], behavior[:, index])


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [(None, math.nan), ([0.5, 1.0, 0.0], 0.75), ([], math.nan)],
)
def test_the_information_fraction_is_the_mean_over_final_images(
    recorder, fractions, expected
):
    message = world.make_movie_message(
        9, n_frames=3, n_final=2, information_fraction=fractions
    )
    recorder.add_movie(message, np.zeros(message.shape, np.uint8))
    recorder.close()
    np.testing.assert_array_equal(
        Session(recorder.path).movie["information_fraction"], [expected]
    )


def test_messages_come_back_as_they_were_published(recorder: Recorder):
    latency = {"register": messages.LatencyPercentiles(p50=1, p95=2, p99=3, max=4, n=5)}
    health = world.make_health(latency_ms=latency, gaps=messages.GapCounts(network=3))
    quality = messages.Quality(session="s", seq=0, t=0, encoder_frame=9, lag_s=0.2)
    recorder.add_health(health)
    recorder.add_quality(quality)
    recorder.close()
    session = Session(recorder.path)
    assert session.health == [health]
    assert session.quality == [quality]


def test_the_constants_of_the_session_come_back(recorder: Recorder):
    session = record_session(recorder, 1)
    assert session.about.roi_ids == world.make_about().roi_ids
    assert session.about.settings == {"timing": {"encoder_rate_hz": 30.0}}
    assert session.about.started
    assert session.about.version


def test_any_zarr_reader_can_open_the_arrays(recorder: Recorder):
    session = record_session(recorder, 30)
    group = zarr.open_group(session.path / tables.ARRAYS_FOLDER, mode="r")
    assert group["frames/values"].shape == (30, 3, world.N_ROI)
    assert group["frames"].attrs["columns"][0] == "frame"


def test_a_session_without_neurons_has_its_frames(tmp_path: Path):
    recorder = Recorder(tmp_path, world.make_about(roi_ids=[], neuron_ids=[]))
    recorder.add_frame(world.make_frame_row(0), world.make_traces(0, n_roi=0))
    recorder.close()
    assert len(Session(recorder.path).frames) == 1


def test_the_session_stores_library_versions_and_the_encoders_hash(tmp_path: Path):
    encoder = tmp_path / "encoder.safetensors"
    encoder.write_bytes(b"weights")
    settings = {"encoder": {"checkpoint": str(encoder)}}
    recorder = Recorder(tmp_path / "recordings", world.make_about(settings=settings))
    about = record_session(recorder, 1).about
    assert about.checkpoint_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert about.libraries["numpy"] == np.__version__
    assert about.machine.cores == os.cpu_count()
    assert about.machine.memory_gb > 0


def test_the_session_stores_neither_host_nor_user_name(recorder: Recorder):
    session = record_session(recorder, 1)
    machine = str(session.about.machine).lower()
    for name in (socket.gethostname(), getpass.getuser()):
        assert name.lower() not in machine.split()


def test_recording_reconstructions_can_be_switched_off(tmp_path: Path):
    recorder = Recorder(tmp_path, world.make_about(has_movie=False))
    session = record_session(recorder, 30)
    assert len(session.movie) == 0
    assert len(session.frames) == len(session.stimulus) == 30


def test_the_first_frame_of_each_clip_is_stored(recorder: Recorder):
    for i, clip in enumerate(["a", "a", "b", "a"]):
        recorder.add_stimulus(i, world.make_stimulus(i), clip)
    recorder.close()
    clips = Session(recorder.path).clips
    assert clips == [Clip(0, "a"), Clip(2, "b"), Clip(3, "a")]


# -- folders -------------------------------------------------------------------------


def test_recordings_started_in_the_same_second_get_folders_of_their_own(tmp_path: Path):
    recorders = [Recorder(tmp_path, world.make_about()) for _ in range(3)]
    for recorder in recorders:
        recorder.close()
    assert len({recorder.path for recorder in recorders}) == 3
    assert len(session_module.list_sessions(tmp_path)) == 3


def test_a_session_id_from_outside_never_leaves_the_folder(tmp_path: Path):
    recorder = Recorder(tmp_path / "in", world.make_about(session="../../../etc/x"))
    recorder.close()
    assert recorder.path.parent == tmp_path / "in"
    assert recorder.path.name.endswith("_etcx")


# -- losses and failures -------------------------------------------------------------


def test_a_full_queue_drops_and_counts_the_newest_items(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder_module, "MAX_QUEUED_ITEMS", 10)
    for i in range(500):
        recorder.add_frame(world.make_frame_row(i), world.make_traces(i))
    recorder.close()
    frames = Session(recorder.path).frames["frame"]
    assert recorder.n_lost > 0
    assert len(frames) + recorder.n_lost == 500
    assert frames[:10].tolist() == list(range(10))


def test_a_folder_that_cannot_be_created_is_an_error_sentence(tmp_path: Path):
    occupied = tmp_path / "recordings"
    occupied.write_text("a file where the folder should be")
    recorder = Recorder(occupied, world.make_about())
    world.record_frame(recorder, 0)
    recorder.close()
    assert str(occupied) in recorder.failure
    assert recorder.n_lost == 4


def test_a_failing_disk_stops_recording_and_keeps_what_was_written(recorder: Recorder):
    for i in range(30):
        world.record_frame(recorder, i)
    frames = recorder.path / tables.ARRAYS_FOLDER / "frames"
    wait_until(lambda: (frames / "rows" / "c.0.0").exists())
    (frames / "values").rename(frames / "values-away")
    (frames / "values").write_text("a disk that takes nothing more")
    for i in range(30, 60):
        world.record_frame(recorder, i)
    wait_until(lambda: recorder.failure is not None)
    world.record_frame(recorder, 60)
    recorder.close()
    assert "stopped" in recorder.failure
    assert recorder.n_lost >= 4
    (frames / "values").unlink()
    (frames / "values-away").rename(frames / "values")
    assert len(Session(recorder.path).frames) >= 24


def block_disk(recorder: Recorder) -> Path:
    """Let the recorder write to a pipe: it waits for a reader, as for a slow disk."""
    stuck = recorder.path / tables.MESSAGE_FILES["events"]
    os.mkfifo(stuck)
    recorder.add_event(world.make_event("stuck"))
    wait_until(lambda: not recorder._queue)
    return stuck


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_a_blocked_disk_loses_only_what_exceeds_the_queue(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder_module, "MAX_QUEUED_ITEMS", 50)
    stuck = block_disk(recorder)
    for i in range(80):
        recorder.add_frame(world.make_frame_row(i), world.make_traces(i))
    assert recorder.n_lost == 30
    with stuck.open("rb") as reader:  # the disk is back
        recorder.close(WAIT_S)
        assert b"stuck" in reader.read()
    assert recorder.failure is None
    assert Session(recorder.path).frames["frame"].tolist() == list(range(50))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_closing_too_slowly_is_a_failure_with_a_sentence(recorder: Recorder):
    stuck = block_disk(recorder)
    recorder.close(timeout_s=0.0)
    assert "could not be finished within 0.0 s" in recorder.failure
    with stuck.open("rb"):  # the disk is back
        recorder.close(WAIT_S)


def test_values_of_the_wrong_shape_are_refused(recorder: Recorder):
    with pytest.raises(ValueError, match=r"activity.*\(4,\).*\(3,\)"):
        recorder.add_activity(ActivityRow(0, 0), np.zeros(4))
    with pytest.raises(ValueError, match="13 frames"):
        recorder.add_movie(
            world.make_movie_message(20, 13), np.zeros((13, *world.IMAGE), np.uint8)
        )


# -- readable while recording ----------------------------------------------------------


def test_a_running_recording_can_be_read(recorder: Recorder):
    for i in range(24):
        world.record_frame(recorder, i)
    wait_until(lambda: (recorder.path / tables.ABOUT_FILE).exists())
    wait_until(lambda: len(Session(recorder.path).frames) == 24)


def test_rows_of_a_slow_stream_are_on_disk_after_chunk_s(tmp_path: Path):
    recorder = Recorder(tmp_path, world.make_about(chunk_s=0.1))
    wait_until(lambda: (recorder.path / tables.ABOUT_FILE).exists())
    for i in range(2):
        world.record_frame(recorder, i)
        wait_until(lambda i=i: len(Session(recorder.path).frames) == i + 1)
    recorder.close()
    assert Session(recorder.path).frames["frame"].tolist() == [0, 1]
