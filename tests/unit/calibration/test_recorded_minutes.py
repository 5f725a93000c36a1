"""Reading the record of a session while it grows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rtrecon.calibration.recorded_minutes import RecordedMinutes, find_recordings
from rtrecon.session.about import About
from rtrecon.session.session import Session
from rtrecon.session.tables import ActivityRow
from rtrecon.session.writer import SessionWriter
from rtrecon.training.training_data import SETTLE_FRAMES

N_NEURONS = 3
ABOUT = About(
    session="s",
    roi_ids=[1, 2, 3],
    neuron_ids=[1, 2, 3],
    chunk_s=5.0,
    started="2026-01-01T00:00:00+00:00",
)


class GrowingRecord:
    """A record to which encoder frames are added; picture i has the level i % 250."""

    def __init__(self, path: Path, about: About = ABOUT) -> None:
        path.mkdir(parents=True)
        self.path = path
        self.writer = SessionWriter(path, about)

    def add_activity(self, frames: range) -> None:
        for frame in frames:
            row = ActivityRow(frame, frame, running_speed=float(frame))
            values = tuple(getattr(row, name) for name in row.__struct_fields__)
            activity = np.full(N_NEURONS, frame, np.float32)
            self.writer.write("activity", values, activity)
        self.writer.flush()

    def add_stimulus(self, frames: range, shift: int = 0) -> None:
        for frame in frames:
            image = np.full((36, 64), (frame + shift) % 250, np.uint8)
            self.writer.write("stimulus", (frame,), image)
        self.writer.flush()


@pytest.fixture
def record(tmp_path):
    return GrowingRecord(tmp_path / "20260101-000000_s")


def test_rows_that_have_both_are_paired_as_the_record_grows(record):
    minutes = RecordedMinutes(ABOUT, [record.path])
    assert not minutes.read_new()
    record.add_activity(range(SETTLE_FRAMES + 40))
    record.add_stimulus(range(SETTLE_FRAMES + 20))
    assert minutes.read_new()
    record.add_stimulus(range(SETTLE_FRAMES + 25, SETTLE_FRAMES + 60))
    assert minutes.read_new()
    assert not minutes.read_new()
    rows = minutes.rows
    expected = SETTLE_FRAMES + np.r_[0:20, 25:40]
    assert rows.encoder_frames.tolist() == expected.tolist()
    assert rows.activity[:, 0].tolist() == expected.tolist()
    assert rows.movie[:, 0, 0].tolist() == (expected % 250).tolist()
    assert rows.behavior[:, 1].tolist() == expected.tolist()
    assert np.isnan(rows.behavior[:, 0]).all()  # the pupil was not measured
    assert minutes.minutes == pytest.approx(len(expected) / 1800)
    assert minutes.n_conflicts == 0


def test_two_pictures_for_one_frame_are_counted_and_the_last_one_is_taken(record):
    n = SETTLE_FRAMES + 50
    record.add_activity(range(n))
    record.add_stimulus(range(n))
    record.add_stimulus(range(SETTLE_FRAMES + 10, n), shift=100)
    minutes = RecordedMinutes(ABOUT, [record.path])
    minutes.read_new()
    assert minutes.n_conflicts == 40
    levels = minutes.rows.movie[:, 0, 0].astype(int)
    shift = np.where(np.arange(50) < 10, 0, 100)
    assert levels.tolist() == ((SETTLE_FRAMES + np.arange(50) + shift) % 250).tolist()


def test_two_like_pictures_for_one_frame_are_no_conflict(record):
    """A stimulus of 60 Hz has two pictures for each encoder frame."""
    n = SETTLE_FRAMES + 50
    record.add_activity(range(n))
    record.add_stimulus(range(n))
    record.add_stimulus(range(n), shift=1)
    minutes = RecordedMinutes(ABOUT, [record.path])
    minutes.read_new()
    assert len(minutes.rows.encoder_frames) == 50
    assert minutes.n_conflicts <= 1  # where the level wraps around


def test_recordings_of_a_restarted_daemon_are_read_as_one_session(tmp_path, record):
    about = msgspec.structs.replace(ABOUT, started="2026-01-01T00:01:00+00:00")
    later = GrowingRecord(tmp_path / "20260101-000100_s", about)
    other = msgspec.structs.replace(ABOUT, session="other")
    GrowingRecord(tmp_path / "20260101-000200_o", other)
    record.add_activity(range(SETTLE_FRAMES + 10))
    record.add_stimulus(range(SETTLE_FRAMES + 10))
    start = SETTLE_FRAMES + 100
    later.add_activity(range(start, start + SETTLE_FRAMES + 5))
    later.add_stimulus(range(start, start + SETTLE_FRAMES + 5))
    paths = find_recordings(later.path, "s")
    assert paths == [record.path, later.path]
    minutes = RecordedMinutes(Session(later.path).about, paths)
    minutes.read_new()
    expected = SETTLE_FRAMES + np.r_[0:10, 100 + SETTLE_FRAMES : 105 + SETTLE_FRAMES]
    assert minutes.rows.encoder_frames.tolist() == expected.tolist()
