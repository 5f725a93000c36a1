"""How ScanImage scanned in depth: planes, repeated images and flyback of a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError

_MANAGER = "SI.hStackManager."


@dataclass(frozen=True)
class StackScan:
    """The images of each channel in one volume, in the order of scanning.

    planes: depths in um. n_repeats: images of each plane, one after the other, before
    the next plane. n_flyback: images after the last plane, which show no plane.
    n_volumes: how many were requested; None = unknown, or not limited.
    """

    planes: tuple[float, ...] = (0.0,)
    n_repeats: int = 1
    n_flyback: int = 0
    n_volumes: int | None = None


def read_stack_scan(settings: dict[str, Any]) -> StackScan | None:
    """Return how a volume was scanned; None if the settings describe no stack.

    Raises `RecordingError` for one slow stack, which is not a movie, and for counts
    that contradict each other.
    """
    n_slices = count_slices(settings)
    if n_slices <= 1 or not is_stack_enabled(settings):
        return None
    n_volumes = _read_count(settings, "actualNumVolumes", "numVolumes")
    if is_slow_stack(settings):
        if n_volumes is None or n_volumes <= 1:
            raise RecordingError(
                f"it is a slow stack of {n_slices} planes, one after the other; only "
                "stacks that were repeated as volumes can be replayed"
            )
        n_repeats, n_flyback = _read_count(settings, "framesPerSlice") or 1, 0
    else:
        n_repeats, n_flyback = _count_volume_images(settings, n_slices)
    planes = tuple(read_depths_um(settings))
    return StackScan(planes, n_repeats, n_flyback, n_volumes)


def is_stack_enabled(settings: dict[str, Any]) -> bool:
    """Return whether ScanImage scanned a stack.

    While stacks are off, `numSlices` and `stackMode` keep their last values.
    """
    return bool(settings.get(f"{_MANAGER}enable") or settings.get("SI.hFastZ.enable"))


def is_slow_stack(settings: dict[str, Any]) -> bool:
    """Return whether all images of a plane were scanned before the next plane."""
    return (
        is_stack_enabled(settings)
        and count_slices(settings) > 1
        and settings.get(f"{_MANAGER}stackMode") != "fast"
        and not settings.get("SI.hFastZ.enable")
    )


def count_slices(settings: dict[str, Any]) -> int:
    """Return the number of planes that were scanned, which may not be `numSlices`.

    `numSlices` is what the user entered for a stack defined by its number of planes; it
    stays when the stack is then defined by its ends or by a list of depths.
    """
    actual = _read_count(settings, "actualNumSlices")
    if actual is not None:
        return actual
    n_slices = _read_count(settings, "numSlices") or 1
    n_images = _read_count(settings, "numFramesPerVolume")
    n_depths = len(_list_depths(settings))
    is_stale = n_images is not None and n_images % n_slices != 0
    return n_depths if is_stale and n_depths == n_images else n_slices


def read_depths_um(settings: dict[str, Any]) -> Sequence[float]:
    """Return the depth of each plane; ScanImage stores one per plane or per image."""
    n_slices, depths = count_slices(settings), _list_depths(settings)
    if len(depths) >= n_slices and len(depths) % n_slices == 0:
        return depths[:: len(depths) // n_slices]
    step_um = settings.get(f"{_MANAGER}actualStackZStepSize")
    if not isinstance(step_um, int | float):
        step_um = settings.get(f"{_MANAGER}stackZStepSize") or 0.0
    return [k * float(step_um) for k in range(n_slices)]


def _list_depths(settings: dict[str, Any]) -> list[float]:
    zs = settings.get(f"{_MANAGER}zs")
    if not isinstance(zs, list):
        return [float(zs)] if isinstance(zs, int | float) else []
    # A row holds the depths of several actuators: the first is that of the objective.
    return [float(z[0] if isinstance(z, list) else z) for z in zs]


def _count_volume_images(settings: dict[str, Any], n_slices: int) -> tuple[int, int]:
    """Return images of each plane and flyback images in a volume of fast z.

    `framesPerSlice` is not used: it keeps the value of the last slow stack.
    """
    n_shown = _read_count(settings, "numFramesPerVolume")
    n_all = _read_count(settings, "numFramesPerVolumeWithFlyback")
    stored = settings.get("SI.hFastZ.numDiscardFlybackFrames")
    n_discarded = None if stored is None else int(stored)
    if n_shown is None and n_all is not None and n_discarded is not None:
        n_shown = n_all - n_discarded
    if n_shown is None or n_shown % n_slices or n_shown == 0:
        n_shown = n_slices
    n_flyback = (n_discarded or 0) if n_all is None else n_all - n_shown
    if n_flyback < 0:
        raise RecordingError(
            f"its settings name {n_slices} planes in {n_all} images of a volume"
        )
    return n_shown // n_slices, n_flyback


def _read_count(settings: dict[str, Any], *names: str) -> int | None:
    """Return the first of these settings that is a number above 0, else None."""
    for name in names:
        value = settings.get(f"{_MANAGER}{name}", settings.get(f"SI.hFastZ.{name}"))
        if isinstance(value, int | float) and math.isfinite(value) and value >= 1:
            return int(value)
    return None
