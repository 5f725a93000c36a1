"""What a calibrator remembers survives its end, and nothing damaged is used."""

from __future__ import annotations

import pytest
import torch

from rtrecon.calibration.calibration_state import (
    CalibrationState,
    load_state,
    save_state,
)
from rtrecon.session.session_files import CALIBRATION_STATE_FILE
from rtrecon.training.compact.trainable_encoder import EncoderWeights

STATE = CalibrationState(
    EncoderWeights(torch.rand(5, 2), {"weights": torch.rand(3, 5)}), 900, 600, 2
)


def test_a_state_is_read_as_it_was_written(tmp_path):
    save_state(tmp_path, "session", STATE)
    found = load_state(tmp_path, "session", 5)
    assert found is not None
    assert torch.equal(found.weights.centers, STATE.weights.centers)
    assert torch.equal(
        found.weights.tensors["weights"], STATE.weights.tensors["weights"]
    )
    assert (found.n_frames, found.n_searched_frames, found.n_encoders) == (900, 600, 2)


def test_the_state_of_another_session_or_of_other_neurons_is_not_used(tmp_path):
    save_state(tmp_path, "session", STATE)
    assert load_state(tmp_path, "another", 5) is None
    assert load_state(tmp_path, "session", 6) is None
    assert load_state(tmp_path / "empty", "session", 5) is None


def test_a_folder_that_is_gone_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="irectory"):
        save_state(tmp_path / "gone", "session", STATE)


def test_a_damaged_state_is_not_used(tmp_path):
    (tmp_path / CALIBRATION_STATE_FILE).write_bytes(b"half a file")
    assert load_state(tmp_path, "session", 5) is None
