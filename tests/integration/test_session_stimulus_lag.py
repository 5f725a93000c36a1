"""A recorded session says whether its neurons follow its stimulus."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.signal import lfilter

from rtrecon.core.errors import UserError
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.stimulus_lag import measure_session_lag
from rtrecon.session.tables import ActivityRow
from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.training.recorded import check_stimulus_lag
from tests.support import recorded_session
from tests.support.command_line import run_here
from tests.support.session_tables import make_about

RATE_HZ, N_FRAMES, N_NEURONS = 30, 9900, 12
IMAGE_SHAPE = (12, 16)  # small, for speed; a neuron for each block of 4 x 4 px
DELAY_FRAMES = 3
WRONG_CLOCK_FRAMES = 600  # the stimulus computer is 20 s ahead


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lag")
    movie = make_movie()
    return {
        "right clock": record(folder / "right", movie, DELAY_FRAMES),
        "wrong clock": record(
            folder / "wrong", movie, DELAY_FRAMES + WRONG_CLOCK_FRAMES
        ),
    }


def make_movie() -> np.ndarray:
    """uint8 (T, 12, 16): blocks whose gray levels change slowly."""
    noise = np.random.default_rng(0).normal(size=(N_FRAMES, 3, 4))
    smooth = lfilter([0.5], [1, -0.85], noise, axis=0)
    coarse = np.clip(127 + 60 * smooth, 0, 255).astype(np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


def record(folder: Path, movie: np.ndarray, delay_frames: int) -> Path:
    """Record neurons that each follow one block of the movie, and some lost frames."""
    rng = np.random.default_rng(1)
    drive = movie[:, 2::4, 2::4].reshape(N_FRAMES, N_NEURONS) / 127 - 1
    drive = np.roll(drive, delay_frames, axis=0)
    activity = rng.poisson(0.1 * np.exp(1.5 * drive)).astype(np.float32)
    about = make_about(
        neuron_ids=list(range(N_NEURONS)),
        roi_ids=list(range(N_NEURONS)),
        stimulus_space=msgspec.structs.replace(
            VIDEO, axes=(Axis("y", IMAGE_SHAPE[0]), Axis("x", IMAGE_SHAPE[1]))
        ),
    )
    recorder = Recorder(folder, about)
    for i in range(N_FRAMES):
        while recorder.is_behind:
            time.sleep(0.01)
        recorder.add_activity(ActivityRow(i, i), activity[i])
        if not 500 <= i < 530:  # the stimulus program missed a second
            recorder.add_stimulus(i, movie[i], "clip")
    recorder.close()
    assert recorder.failure is None
    assert not recorder.n_lost
    return recorder.path


def test_lag_of_a_session_is_reported(recordings: dict[str, Path]):
    result = run_here("check", "--session", str(recordings["right clock"]))
    assert result.returncode == 0, result.stderr
    assert "12 of 12 neurons (100%) follow the stimulus" in result.stdout
    assert "no drift" in result.stdout
    found = measure_session_lag(Session(recordings["right clock"]))
    assert found.estimate is not None
    assert found.estimate.lag_s == pytest.approx(DELAY_FRAMES / RATE_HZ, abs=0.01)


def test_training_does_not_start_on_a_session_with_a_wrong_clock(
    recordings: dict[str, Path], tmp_path: Path
):
    wrong = recordings["wrong clock"]
    with pytest.raises(UserError, match=r"20\.1 s later than recorded: the clock of"):
        check_stimulus_lag(wrong, ignore_lag=False)
    sentences = check_stimulus_lag(wrong, ignore_lag=True)
    assert sentences[0].startswith("0 of 12 neurons (0%) follow the stimulus")


def test_a_session_of_seconds_is_not_judged(tmp_path: Path):
    short = recorded_session.record_session(tmp_path)
    with pytest.raises(UserError, match=r"0\.2 minutes; 2 are needed"):
        measure_session_lag(Session(short))
    assert check_stimulus_lag(short, ignore_lag=False) == []


def test_a_session_without_stimulus_is_refused(tmp_path: Path):
    silent = recorded_session.record_session(tmp_path, stimulus=False)
    result = run_here("check", "--session", str(silent))
    assert result.returncode != 0
    assert "no encoder frame with both stimulus and activity" in result.stderr
