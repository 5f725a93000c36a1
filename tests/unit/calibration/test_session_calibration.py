"""A calibration goes on where an earlier one of the same session has stopped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from rtrecon.calibration import session_calibration
from rtrecon.calibration.calibration_state import (
    CalibrationState,
    load_state,
    save_state,
)
from rtrecon.calibration.judging import ResponseScore
from rtrecon.calibration.session_calibration import SessionCalibration
from rtrecon.calibration.training_round import RoundOptions, TrainedRound
from rtrecon.config import CalibrationSettings
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.session.about import About
from rtrecon.session.session_files import ENCODER_FILE
from rtrecon.session.writer import SessionWriter
from rtrecon.training.compact.trainable_encoder import EncoderWeights
from rtrecon.training.distributed import SINGLE_PROCESS
from tests.support.trained_encoder import make_untrained_checkpoint

IDS = [3, 1, 2]
STATE = CalibrationState(EncoderWeights(torch.zeros(3, 2), {}), 900, 900, 2)
ABOUT = About(session="s", roi_ids=IDS, neuron_ids=IDS)


def make_recording(path: Path, minute: int) -> Path:
    path.mkdir()
    started = f"2026-01-01T00:0{minute}:00+00:00"
    SessionWriter(path, msgspec.structs.replace(ABOUT, started=started))
    return path


def begin(path: Path) -> SessionCalibration:
    options = RoundOptions(SINGLE_PROCESS, lambda *_: None)
    return SessionCalibration(path, CalibrationSettings(), options)


@pytest.fixture
def earlier(tmp_path):
    """A recording in which two encoders were handed over."""
    path = make_recording(tmp_path / "1", 1)
    save_state(path, "s", STATE)
    save_checkpoint(make_untrained_checkpoint(path / ENCODER_FILE, IDS, (20, 30)))
    return path


def test_a_calibrator_that_was_killed_goes_on(earlier):
    found = begin(earlier)
    assert found.n_encoders == 2
    assert not found.is_round_due
    assert found.describe_progress("gathering")["n_encoders"] == 2


def test_a_calibrator_that_is_killed_while_it_judges_repeats_the_round(
    tmp_path, monkeypatch
):
    """Otherwise it would wait for new minutes, although its encoder may be good."""

    def end_process(*_: object) -> None:
        raise KeyboardInterrupt

    responses = ResponseScore(np.full(6, 0.5), np.ones(6, bool))
    first = CalibrationState(STATE.weights, 900, 900)
    trained = TrainedRound(
        make_untrained_checkpoint(tmp_path / "e", IDS, (20, 30)).encoder,
        [],
        first,
        responses,
    )
    monkeypatch.setattr(session_calibration, "train_round", lambda *_: trained)
    monkeypatch.setattr(session_calibration, "measure_reliability", lambda *_: None)
    monkeypatch.setattr(SessionCalibration, "_is_better", end_process)
    monkeypatch.setattr(SessionCalibration, "_make_data", lambda _: None)
    path = make_recording(tmp_path / "1", 1)
    with pytest.raises(KeyboardInterrupt):
        begin(path).run_round()
    assert load_state(path, "s", len(IDS)) is None


def test_a_folder_that_is_gone_is_reported_and_the_next_round_tries_again(
    tmp_path, monkeypatch
):
    """As a full disk does, it fails when the state is written."""
    monkeypatch.setattr(SessionCalibration, "_make_data", lambda _: None)
    responses = ResponseScore(np.full(6, np.nan), np.zeros(6, bool))
    encoder = make_untrained_checkpoint(tmp_path / "e", IDS, (20, 30)).encoder
    trained = TrainedRound(encoder, [], STATE, responses)
    monkeypatch.setattr(session_calibration, "train_round", lambda *_: trained)
    monkeypatch.setattr(session_calibration, "measure_reliability", lambda *_: None)
    path = make_recording(tmp_path / "1", 1)
    calibration = begin(path)
    path.rename(tmp_path / "moved")
    assert not calibration.run_round()
    missing = calibration.describe_progress("gathering")["missing"]
    assert missing.startswith(f"the encoder cannot be saved in {path}")
    (tmp_path / "moved").rename(path)
    calibration.run_round()
    assert not calibration.problem
    assert load_state(path, "s", len(IDS)) is not None


def test_a_restarted_daemon_finds_the_encoder_in_its_new_recording(earlier, tmp_path):
    later = make_recording(tmp_path / "2", 2)
    assert begin(later).n_encoders == 2
    expected = (earlier / ENCODER_FILE).read_bytes()
    assert (later / ENCODER_FILE).read_bytes() == expected


def test_another_session_begins_anew(earlier, tmp_path):
    path = tmp_path / "2"
    path.mkdir()
    started = "2026-01-01T00:02:00+00:00"
    about = msgspec.structs.replace(ABOUT, session="other", started=started)
    SessionWriter(path, about)
    assert begin(path).n_encoders == 0
    assert not (path / ENCODER_FILE).exists()
