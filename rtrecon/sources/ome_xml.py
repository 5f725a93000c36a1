"""OME-XML in the first page of a TIFF file: what each image of the file shows."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from rtrecon.core.types import Array
from rtrecon.sources.image_table import ImageCoordinates, describe_missing_images
from rtrecon.sources.recording import RecordingError

_COLUMNS = {"T": 0, "Z": 1, "C": 2}  # of `ImageCoordinates.indices`
_S_PER_UNIT = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}


def read_ome_coordinates(text: str, path: Path, n_images: int) -> ImageCoordinates:
    """Return what the `n_images` images of the file at `path` show.

    text: the OME-XML in the file; it may describe other files too, or name the file
    that holds the description. Raises `RecordingError`.
    """
    root = _parse_xml(text)
    metadata_file = root.find("{*}BinaryOnly")
    if metadata_file is not None:
        root = _read_metadata_file(
            path.with_name(metadata_file.get("MetadataFile", ""))
        )
    movies = root.findall("{*}Image/{*}Pixels")
    if not movies:
        raise RecordingError("its OME-XML describes no image")
    pixels = movies[0]
    try:
        order = pixels.get("DimensionOrder", "XYCZT").upper()[2:]  # the fastest first
        sizes = [int(pixels.get(f"Size{axis}", 1)) for axis in order]
        blocks = _list_blocks(pixels, order, sizes, path)
        indices = _place_images(blocks, order, sizes, n_images)
    except RecordingError:
        raise
    except (KeyError, ValueError) as error:
        raise RecordingError(f"its OME-XML cannot be read: {error}") from None
    n_named = sum(n_block for *_, n_block in blocks)
    notice = describe_missing_images(n_named, n_images)
    if len(movies) > 1:
        first_only = f"its OME-XML describes {len(movies)} movies; the first is read"
        notice = "; ".join(filter(None, [first_only, notice]))
    return ImageCoordinates(
        indices,
        _read_step_um(pixels),
        _read_rate_hz(pixels),
        notice,
        times_s=_read_times(pixels, indices),
    )


def _parse_xml(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise RecordingError(f"its OME-XML cannot be read: {error}") from None


def _read_metadata_file(path: Path) -> ElementTree.Element:
    try:
        with tifffile.TiffFile(path) as tiff:
            return _parse_xml(tiff.pages.first.description)
    except RecordingError:
        raise
    except Exception as error:  # a missing file, or one that breaks tifffile
        raise RecordingError(
            f"{path}, which describes its images, cannot be read: {error}"
        ) from None


def _list_blocks(
    pixels: ElementTree.Element, order: str, sizes: list[int], path: Path
) -> list[tuple[int, int, int]]:
    """Return the blocks of images that lie in this file, and where each begins.

    A block is (first image of the file, place in the movie, number of images); places
    count the images of the movie in its order of dimensions.
    """
    n_all = math.prod(sizes)
    blocks: list[tuple[int, int, int]] = []
    file_names: list[str] = []
    for data in pixels.findall("{*}TiffData"):
        firsts = [int(data.get(f"First{axis}", 0)) for axis in order]
        place = int(np.ravel_multi_index(firsts[::-1], sizes[::-1]))
        n_block = int(data.get("PlaneCount", 1 if "IFD" in data.attrib else n_all))
        blocks.append((int(data.get("IFD", 0)), place, n_block))
        uuid = data.find("{*}UUID")
        file_names.append("" if uuid is None else uuid.get("FileName", ""))
    if not blocks:
        return [(0, 0, n_all)]
    if len(set(file_names)) == 1:  # the file may have been renamed
        return blocks
    name = path.name.lower()
    found = [b for b, f in zip(blocks, file_names, strict=True) if f.lower() == name]
    if not found:
        raise RecordingError(
            f"its OME-XML describes {len(set(file_names))} files, but not this one; "
            "was it renamed? Give --n-channels and --n-planes"
        )
    return found


def _place_images(
    blocks: list[tuple[int, int, int]], order: str, sizes: list[int], n_images: int
) -> Array:
    """Return (n_images, 3) int: time, plane and channel; -1 = of another movie."""
    indices = np.full((n_images, 3), -1, np.int64)
    for first, place, n_block in blocks:
        n_here = max(0, min(n_block, n_images - first))  # the file may be truncated
        places = np.arange(place, min(place + n_here, math.prod(sizes)))
        by_axis = np.unravel_index(places, sizes[::-1])  # the slowest first
        for axis, found in zip(order[::-1], by_axis, strict=True):
            indices[first : first + len(places), _COLUMNS[axis]] = found
    return indices


def _read_step_um(pixels: ElementTree.Element) -> float | None:
    is_um = pixels.get("PhysicalSizeZUnit", "µm") in ("µm", "um")
    return _read_positive(pixels, "PhysicalSizeZ") if is_um else None


def _read_rate_hz(pixels: ElementTree.Element) -> float | None:
    period = _read_positive(pixels, "TimeIncrement")
    unit_s = _S_PER_UNIT.get(pixels.get("TimeIncrementUnit", "s"))
    return 1 / (period * unit_s) if period and unit_s else None


def _read_times(pixels: ElementTree.Element, indices: Array) -> Array | None:
    """Return when each image was acquired (s), by the DeltaT of its Plane element."""
    found: dict[tuple[int, ...], float] = {}
    for plane in pixels.findall("{*}Plane"):
        delta, unit_s = plane.get("DeltaT"), plane.get("DeltaTUnit", "s")
        if delta is None or unit_s not in _S_PER_UNIT:
            return None
        place = tuple(int(plane.get(f"The{axis}", 0)) for axis in _COLUMNS)
        found[place] = float(delta) * _S_PER_UNIT[unit_s]
    # The place of an image of another movie is -1 and has no time.
    times_s = [found.get(tuple(place), np.nan) for place in indices.tolist()]
    is_known = np.isfinite(times_s) | (indices[:, 0] < 0)
    return np.array(times_s) if found and is_known.all() else None


def _read_positive(pixels: ElementTree.Element, name: str) -> float | None:
    try:
        value = float(pixels.get(name, ""))
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
