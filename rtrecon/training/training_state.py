"""Training that is not over yet, kept on disk so that it can go on where it stopped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from rtrecon.core.errors import UserError

_UNREADABLE = (RuntimeError, EOFError, OSError, KeyError, ValueError)


def save(path: Path, state: dict[str, Any], work: dict[str, Any]) -> None:
    """Keep a state of tensors and plain values in place of an older one.

    work: what is being trained on and how; plain values by name.
    """
    half_written = path.with_suffix(".part")  # a crash leaves the older one whole
    torch.save({"work": work, "state": state}, half_written)
    half_written.replace(path)


def load(path: Path, work: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state kept, None if there is none; UserError if it is of other work.

    It is opened for weights and plain values alone: nothing in it is run.
    """
    if not path.exists():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        found, state = dict(kept["work"]), dict(kept["state"])
    except (pickle.UnpicklingError, TypeError, *_UNREADABLE):
        raise UserError(
            f"the unfinished training in {path} cannot be read; delete it and train "
            "anew"
        ) from None
    for name, value in work.items():
        if found.get(name) != value:
            raise UserError(
                f"the unfinished training in {path} has {name} = {found.get(name)}, "
                f"but now it is {value}; go on as it was begun, or delete it"
            )
    return state
