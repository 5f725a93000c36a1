"""What a calibrator remembers: its weights and counts, in the session's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.session.session_files import CALIBRATION_STATE_FILE
from rtrecon.training.compact.trainable_encoder import EncoderWeights
from rtrecon.training.training_state import load_training_state, save_training_state


@dataclass(frozen=True)
class CalibrationState:
    """State after a round of training.

    weights: of the newest round. n_frames: that it was trained on. n_searched_frames:
    of the newest search for receptive fields. n_encoders: handed over in this session.
    """

    weights: EncoderWeights
    n_frames: int
    n_searched_frames: int
    n_encoders: int = 0


def save_state(folder: Path, session: str, state: CalibrationState) -> None:
    """Write the state into a session's folder; OSError if the disk cannot take it."""
    stored = {
        "centers": state.weights.centers,
        "tensors": state.weights.tensors,
        "counts": [state.n_frames, state.n_searched_frames, state.n_encoders],
    }
    job = _describe_job(session, len(state.weights.centers))
    try:
        save_training_state(folder / CALIBRATION_STATE_FILE, stored, job)
    except RuntimeError as error:  # so does torch report a disk that is full or gone
        raise OSError(str(error).splitlines()[0]) from None


def load_state(folder: Path, session: str, n_neurons: int) -> CalibrationState | None:
    """Return the state of this session's neurons; None if there is none to go on from.

    A damaged file is as good as none: the calibrator trains anew from the record.
    """
    try:
        stored = load_training_state(
            folder / CALIBRATION_STATE_FILE, _describe_job(session, n_neurons)
        )
        if stored is None:
            return None
        weights = EncoderWeights(stored["centers"], stored["tensors"])
        return CalibrationState(weights, *(int(count) for count in stored["counts"]))
    except (UserError, KeyError, TypeError, ValueError):
        return None


def _describe_job(session: str, n_neurons: int) -> dict[str, Any]:
    return {"session": session, "neurons": n_neurons}
