"""Reference stacks: one image for each of the planes around the imaged one.

Written by ScanImage, slowly (all images of a plane, then those of the next) or by fast
z (volume after volume), images of one plane are averaged. Any other TIFF holds one
plane in each page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.scanimage import RecordingError, read_header
from rtrecon.sources.tiff import ScanImageTiff

# How ImageJ may spell micrometre, the last as it escapes it.
_MICRONS = ("um", "µm", "μm", "micron", "microns", "micrometer", "\\u00B5m")
_UNEVEN = 0.1  # of a step: positions may be written as they were measured


class StackError(UserError):
    """A stack that cannot be used; its text says which and why."""


def read_stack(
    path: Path | str, channel: int | None = None
) -> tuple[Array, float | None]:
    """Return planes (n, lines, pixels) float32, from above, and the um between them.

    The um are None where the file does not say. channel: of a ScanImage file, from 1;
    none = the first that was saved. Raises `StackError` with a sentence.
    """
    path = Path(path)
    if not path.is_file():
        raise StackError(f"stack {path} does not exist")
    try:
        with tifffile.TiffFile(path) as tiff:
            planes, step_um = _read(tiff, path, channel)
    except RecordingError as error:
        raise StackError(f"{path} cannot be used as a stack: {error}") from None
    except Exception as error:  # damaged files break the reader in many ways
        raise StackError(f"{path} is not a readable TIFF file: {error}") from None
    if step_um is not None and step_um < 0:
        return planes[::-1].copy(), -step_um
    return planes, step_um


def _read(
    tiff: tifffile.TiffFile, path: Path, channel: int | None
) -> tuple[Array, float | None]:
    if not tiff.is_scanimage:
        return _plain(tiff), _step_of_imagej(tiff)
    metadata = tiff.scanimage_metadata or {}
    settings: Any = metadata.get("FrameData")
    if isinstance(settings, dict) and _is_slow(settings):
        images = _slow_images(tiff, metadata, channel)
        return _averaged(images), _step_um(_depths_um(settings))
    with ScanImageTiff(path, channel) as recording:
        first = recording.channels[0]
        frames = (f for f in recording.frames() if f.channel == first)
        planes = _averaged((frame.plane, frame.pixels) for frame in frames)
        return planes, _step_um(recording.planes)


def _plain(tiff: tifffile.TiffFile) -> Array:
    series: Any = tiff.series[0]
    if len(series.shape) != 3 or series.dtype.kind not in "uif":
        raise RecordingError(
            f"it holds {series.dtype} of shape {list(series.shape)}; (planes, lines, "
            "pixels) of numbers are needed, one image for each plane"
        )
    planes = np.asarray(series.asarray(), np.float32)
    if not np.isfinite(planes).all():
        raise RecordingError("some of its pixels are not finite")
    return planes


def _step_of_imagej(tiff: tifffile.TiffFile) -> float | None:
    known: Any = tiff.imagej_metadata or {}
    spacing = known.get("spacing")
    in_um = str(known.get("zunit", known.get("unit"))) in _MICRONS
    return float(spacing) if in_um and spacing else None


def _is_slow(settings: dict[str, Any]) -> bool:
    return (
        bool(settings.get("SI.hStackManager.enable"))
        and int(settings.get("SI.hStackManager.numSlices", 1)) > 1
        and settings.get("SI.hStackManager.stackMode") != "fast"
        and not settings.get("SI.hFastZ.enable")
    )


def _slow_images(
    tiff: tifffile.TiffFile, metadata: dict[str, Any], channel: int | None
) -> Iterator[tuple[int, Array]]:
    """Yield (plane, image) of one channel, in the order of the file."""
    settings = metadata["FrameData"]
    # Each plane by itself is like a recording without a stack.
    own = settings | {"SI.hStackManager.enable": False}
    header = read_header(own, metadata.get("RoiGroups") or {})
    chosen = header.channels[0] if channel is None else channel
    if chosen not in header.channels:
        known = ", ".join(map(str, header.channels))
        raise RecordingError(f"channel {channel} was not saved; choose from {known}")
    per_plane, n_planes = header.announced or 1, settings["SI.hStackManager.numSlices"]
    n_channels, first = len(header.channels), header.channels.index(chosen)
    for image, page in enumerate(range(first, len(tiff.pages), n_channels)):
        yield image // per_plane % n_planes, tiff.pages[page].asarray()


def _averaged(images: Iterable[tuple[int, Array]]) -> Array:
    """Mean of the images of each plane, counted from 0, of which none may be missing.

    A stack that was stopped ends where images do.
    """
    sums: list[Array] = []
    counts: list[int] = []
    for plane, pixels in images:
        if plane == len(sums):
            sums.append(np.zeros(pixels.shape))
            counts.append(0)
        sums[plane] += pixels
        counts[plane] += 1
    if len(sums) < 2:
        raise RecordingError(
            f"it holds {len(sums)} plane; a stack of those around the imaged one is "
            "needed"
        )
    return np.array(
        [total / count for total, count in zip(sums, counts, strict=True)], np.float32
    )


def _depths_um(settings: dict[str, Any]) -> list[float]:
    """Depth of each plane, written once for each or for each of its images."""
    n_planes = int(settings["SI.hStackManager.numSlices"])
    zs = settings.get("SI.hStackManager.zs")
    if isinstance(zs, list) and zs and len(zs) % n_planes == 0:
        return [float(z) for z in zs[:: len(zs) // n_planes]]
    step_um = float(settings.get("SI.hStackManager.stackZStepSize") or 0.0)
    return [k * step_um for k in range(n_planes)]


def _step_um(depths_um: Sequence[float]) -> float | None:
    """Return the um from plane to plane, negative from below; None if unknown."""
    steps = np.diff(depths_um)
    step_um = float(np.mean(steps))
    if np.abs(steps - step_um).max() > _UNEVEN * abs(step_um):
        raise RecordingError(
            f"its planes lie at {list(depths_um)} um; they must be evenly spaced"
        )
    return step_um or None
