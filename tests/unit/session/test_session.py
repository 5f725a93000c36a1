"""Reading a session: damaged files, folders that are no session, the movie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.session import tables
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import NotASessionError, Session
from rtrecon.sources import RecordingError, open_recording
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


def test_an_incomplete_last_line_is_left_out(recorder: Recorder):
    session = record_session(recorder, 3)
    file = session.path / tables.MESSAGE_FILES["events"]
    file.write_bytes(file.read_bytes()[:-9])
    assert [event.name for event in Session(session.path).events] == [
        "frame 0",
        "frame 1",
    ]


NOT_SESSIONS = {
    "empty": (None, "holds no about.json"),
    "not JSON": (b"{", "about.json"),
    "another program's": (b'{"name": "x"}', "session"),
    "newer": (
        b'{"session": "s", "roi_ids": [], "neuron_ids": [], "format": 99}',
        "update rtrecon",
    ),
}


@pytest.mark.parametrize(
    ("content", "sentence"), NOT_SESSIONS.values(), ids=NOT_SESSIONS
)
def test_a_folder_without_a_session_is_an_error_sentence(
    tmp_path: Path, content, sentence
):
    if content is not None:
        (tmp_path / tables.ABOUT_FILE).write_bytes(content)
    with pytest.raises(NotASessionError, match=sentence):
        Session(tmp_path)


# -- the movie at a lag ----------------------------------------------------------


def estimates(recorder: Recorder, hops: dict[int, int]) -> Session:
    """Record hops ({index: frames in the window}); each writes its index everywhere."""
    for index, n_frames in hops.items():
        window = np.full((n_frames, *world.IMAGE), index, np.uint8)
        recorder.add_movie(world.make_movie_message(index, n_frames), window)
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
def test_the_movie_at_a_lag_has_the_images_of_the_right_hops(
    recorder: Recorder, lag: int, expected: dict
):
    session = estimates(recorder, {5: 6, 11: 12, 17: 12})
    indices, frames = session.read_movie_at_lag(lag)
    assert dict(zip(indices, frames[:, 0, 0], strict=True)) == expected


def test_the_final_movie_has_only_final_images(recorder: Recorder):
    indices, frames = estimates(recorder, {11: 12, 17: 12, 35: 12}).read_final_movie()
    finals = {0: 11, 6: 17, 24: 35}  # first of six frames each; a hole before the last
    expected = {first + n: hop for first, hop in finals.items() for n in range(6)}
    assert dict(zip(indices, frames[:, 0, 0], strict=True)) == expected


def test_a_session_without_movie_has_an_empty_movie(recorder: Recorder):
    indices, frames = estimates(recorder, {}).read_final_movie()
    assert indices.shape == (0,)
    assert frames.shape == (0, *world.IMAGE)


def test_a_session_in_place_of_a_recording_is_explained(tmp_path):
    recorder = Recorder(tmp_path, world.make_about(), raw_messages=True)
    recorder.close()
    with pytest.raises(RecordingError, match="is a session that rtrecon recorded, not"):
        open_recording(recorder.path)
    done = CliRunner().invoke(app, ["rois", str(recorder.path)])
    assert isinstance(done.exception, RecordingError)
    assert "give the file that the microscope" in str(done.exception)
