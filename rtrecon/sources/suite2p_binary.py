"""Suite2p's `data.bin`: one plane's registered movie, int16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.sources.npy import read_objects
from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Hints, Recording, RecordingError

# Where Suite2p says the size and the rate: before 2026, and since.
_SETTINGS = ("ops.npy", "reg_outputs.npy", "db.npy", "settings.npy")


def open_suite2p(path: Path, hints: Hints) -> Recording:
    """Open a `data.bin`, `data_raw.bin` or `data_chan2.bin`.

    Size and rate are read from the files beside it; hints come first. Raises
    `RecordingError` where neither knows.
    """
    said = {} if hints.shape and hints.rate_hz else _said_beside(path)
    shape: Any = hints.shape or (said.get("Ly"), said.get("Lx"))
    if not all(isinstance(side, int) for side in shape):
        raise RecordingError(
            "no ops.npy or db.npy beside it says how large a frame is; give --shape, "
            "such as 512x512"
        )
    rate_hz = said.get("fs")
    layout = RawLayout(
        shape=(int(shape[0]), int(shape[1])),
        rate_hz=float(rate_hz) if isinstance(rate_hz, int | float) else None,
    )
    return RawMovie(path, layout, hints)


def _said_beside(path: Path) -> dict[str, Any]:
    """Return what the settings files say; of several, what the first one says."""
    said: dict[str, Any] = {}
    for name in reversed(_SETTINGS):
        file = path.with_name(name)
        if file.is_file():
            said |= {key: _plain(value) for key, value in _read(file).items()}
    return said


def _read(file: Path) -> dict[Any, Any]:
    try:
        stored = read_objects(file)
    except UserError as error:
        raise RecordingError(
            f"{error}; with --shape and --rate-hz it is not needed"
        ) from None
    settings = stored.item() if stored.ndim == 0 else None
    return settings if isinstance(settings, dict) else {}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and value.size == 1 else value
