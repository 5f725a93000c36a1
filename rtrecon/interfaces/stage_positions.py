"""Stage positions in a position list of Micro-Manager (.pos), version 1.4 or 2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError

MAX_POSITIONS = 64


@dataclass(frozen=True)
class StagePosition:
    """Where the stage goes: x, y in um, and z in um if the list tells it."""

    name: str
    x_um: float
    y_um: float
    z_um: float | None = None


def read_positions(path: Path) -> list[StagePosition]:
    """Return the positions of a list that Micro-Manager saved; raises `UserError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the position list {path} cannot be read: {error}") from None
    except ValueError:
        raise UserError(
            f"{path} is no position list; save one in Micro-Manager's Stage Position "
            "List"
        ) from None
    try:
        is_old = "POSITIONS" in content
        positions = list(_read_old(content) if is_old else _read_new(content))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"the position list {path} lacks {error}") from None
    if not 0 < len(positions) <= MAX_POSITIONS:
        raise UserError(
            f"the position list {path} has {len(positions)} positions; 1 to "
            f"{MAX_POSITIONS} can be imaged"
        )
    return positions


def _read_old(content: dict[str, Any]) -> Iterator[StagePosition]:
    for number, entry in enumerate(content["POSITIONS"]):
        devices = entry["DEVICES"]
        (x_um, y_um), *_ = [
            (float(d["X"]), float(d["Y"])) for d in devices if d["AXES"] == 2
        ]
        heights = [float(d["X"]) for d in devices if d["AXES"] == 1]
        name = str(entry.get("LABEL", f"Pos{number}"))
        yield StagePosition(name, x_um, y_um, heights[0] if heights else None)


def _read_new(content: dict[str, Any]) -> Iterator[StagePosition]:
    for number, entry in enumerate(content["map"]["StagePositions"]["array"]):
        places = [
            [float(value) for value in device["Position_um"]["array"]]
            for device in entry["DevicePositions"]["array"]
        ]
        (x_um, y_um), *_ = [place for place in places if len(place) == 2]
        heights = [place[0] for place in places if len(place) == 1]
        name = str(entry.get("Label", {}).get("scalar", f"Pos{number}"))
        yield StagePosition(name, x_um, y_um, heights[0] if heights else None)
