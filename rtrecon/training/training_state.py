"""State of a training run on disk, so that an interrupted run can be resumed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically

_READ_ERRORS = (RuntimeError, EOFError, OSError, KeyError, ValueError)


def save_training_state(path: Path, state: dict[str, Any], job: dict[str, Any]) -> None:
    """Write a state of tensors and plain values in place of an older one.

    job: recipe and data of the run, plain values by name.
    """
    with open_atomically(path) as temporary:
        torch.save({"job": job, "state": state}, temporary)


def load_training_state(path: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored state, or None if there is none.

    The file is opened for weights and plain values only, so that no code in it is run.
    Raises UserError if it cannot be read or is of another job.
    """
    if not path.exists():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        stored_job, state = dict(stored["job"]), dict(stored["state"])
    except (pickle.UnpicklingError, TypeError, *_READ_ERRORS):
        raise UserError(
            f"the training state in {path} cannot be read; delete it and train anew"
        ) from None
    for name, value in job.items():
        if stored_job.get(name) != value:
            raise UserError(
                f"the training state in {path} has {name} = {stored_job.get(name)}, "
                f"but now it is {value}; resume with the same options and data, or "
                "delete it"
            )
    return state
