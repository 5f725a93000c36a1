"""Units file: one unit per line, in the order of the encoder's neurons."""

from __future__ import annotations

from pathlib import Path

from rtrecon.core.errors import UserError
from rtrecon.core.files import read_text


def read_units(path: Path | None) -> list[str] | None:
    """Return the units in a file; None without a file. Raises UserError."""
    if path is None or not path.exists():
        return None
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"units in {path} cannot be read: {error}") from None
    units = [line.strip() for line in lines if line.strip()]
    if not units or len(set(units)) < len(units):
        raise UserError(
            f"{path} names {len(units)} units, {len(set(units))} of them different; "
            "write a line for each, like 'Electrode 1/2': the name and the sorted id"
        )
    return units


def write_units(path: Path | None, units: list[str]) -> None:
    """Write a file that `read_units` reads; does nothing without a path."""
    if path is not None:
        path.write_text("\n".join(units) + "\n", encoding="utf-8")
