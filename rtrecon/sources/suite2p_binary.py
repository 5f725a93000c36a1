"""Reader for Suite2p's `data.bin`: the registered movie of one plane, int16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.sources.npy import read_objects
from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Recording, RecordingError, RecordingHints

# Files in which Suite2p stores size and rate: before 2026, and since.
_SETTINGS_FILES = ("ops.npy", "reg_outputs.npy", "db.npy", "settings.npy")


def open_suite2p_binary(path: Path, hints: RecordingHints) -> Recording:
    """Open a `data.bin`, `data_raw.bin` or `data_chan2.bin`.

    Size and rate are those of the hints, else those in the settings files beside it.
    Raises `RecordingError` if neither has them.
    """
    has_hints = hints.shape and hints.rate_hz
    settings = {} if has_hints else _read_settings_beside(path)
    shape: Any = hints.shape or (settings.get("Ly"), settings.get("Lx"))
    if not all(isinstance(side, int) for side in shape):
        raise RecordingError(
            "no ops.npy or db.npy beside it stores the size of a frame; give --shape, "
            "such as 512x512"
        )
    rate_hz = settings.get("fs")
    layout = RawLayout(
        shape=(int(shape[0]), int(shape[1])),
        rate_hz=float(rate_hz) if isinstance(rate_hz, int | float) else None,
    )
    return RawMovie(path, layout, hints)


def _read_settings_beside(path: Path) -> dict[str, Any]:
    """Return the settings of all files; the first file that has a setting counts."""
    settings: dict[str, Any] = {}
    for name in reversed(_SETTINGS_FILES):
        file = path.with_name(name)
        if file.is_file():
            stored = _read_settings(file)
            settings |= {key: _to_scalar(value) for key, value in stored.items()}
    return settings


def _read_settings(file: Path) -> dict[Any, Any]:
    try:
        stored = read_objects(file)
    except UserError as error:
        raise RecordingError(
            f"{error}; with --shape and --rate-hz the file is not needed"
        ) from None
    settings = stored.item() if stored.ndim == 0 else None
    return settings if isinstance(settings, dict) else {}


def _to_scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and value.size == 1 else value
