"""Size of a pixel in um, as the program that wrote a TIFF file tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import tifffile

_UM_PER_UNIT = {
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns"), 1.0),
    **dict.fromkeys(("micrometer", "micrometers"), 1.0),
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0},
}
_UM_PER_RESOLUTION_UNIT = {2: 25400.0, 3: 1e4}  # TIFF: inch, cm
# Programs that know no scale write 72 or 300 dots per inch: 353 or 85 um per pixel.
_PLAUSIBLE_UM_PER_PX = 0.005, 50.0


def read_um_per_px(tiff: tifffile.TiffFile) -> float | None:
    """Return the size of a pixel in um; None if the file does not tell it.

    Read are OME-XML, Micro-Manager, MetaMorph (files of one image and .stk), ImageJ and
    the resolution of TIFF, where that is plausible for a microscope.
    """
    readers = (
        _read_ome,
        _read_micro_manager,
        _read_meta_series,
        _read_stk,
        _read_imagej,
        _read_resolution,
    )
    for read in readers:
        with suppress(Exception):  # damaged metadata break tifffile in many ways
            um_per_px = read(tiff)
            if um_per_px is not None and 0 < um_per_px < math.inf:
                return um_per_px
    return None


def convert_to_um(value: Any, unit: str) -> float | None:
    """Return a length in um; None if the unit is unknown or the value no number."""
    factor = _UM_PER_UNIT.get(unit.strip().lower())
    with suppress(TypeError, ValueError):
        if factor is not None:
            return float(value) * factor
    return None


def read_plane_metadata(page: tifffile.TiffPage) -> Mapping[str, Any]:
    """Return what Micro-Manager wrote about the image of a page; empty if nothing."""
    tag = page.tags.get("MicroManagerMetadata")
    return tag.value if tag is not None and isinstance(tag.value, dict) else {}


def _read_ome(tiff: tifffile.TiffFile) -> float | None:
    if not tiff.is_ome:
        return None
    pixels = ElementTree.fromstring(tiff.pages.first.description).find(
        "{*}Image/{*}Pixels"
    )
    if pixels is None:
        return None
    unit = pixels.get("PhysicalSizeXUnit", "µm")
    return convert_to_um(pixels.get("PhysicalSizeX"), unit)


def _read_micro_manager(tiff: tifffile.TiffFile) -> float | None:
    first: Any = tiff.pages.first
    of_image = read_plane_metadata(first).get("PixelSizeUm")
    if of_image:
        return float(of_image)
    if not tiff.is_micromanager:
        return None
    summary = (tiff.micromanager_metadata or {}).get("Summary") or {}
    return float(summary["PixelSize_um"]) or None


def _read_meta_series(tiff: tifffile.TiffFile) -> float | None:
    if not tiff.is_metaseries:
        return None
    info = (tiff.metaseries_metadata or {})["PlaneInfo"]
    if not info.get("spatial-calibration-state", True):
        return None
    unit = str(info.get("spatial-calibration-units", "um"))
    return convert_to_um(info["spatial-calibration-x"], unit)


def _read_stk(tiff: tifffile.TiffFile) -> float | None:
    if not tiff.is_stk:
        return None
    metadata: Any = tiff.stk_metadata
    unit = str(metadata.get("CalibrationUnits", "um"))
    return convert_to_um(metadata["XCalibration"], unit)


def _read_imagej(tiff: tifffile.TiffFile) -> float | None:
    metadata = tiff.imagej_metadata
    if not metadata:
        return None
    first: Any = tiff.pages.first
    n_px, n_units = first.tags["XResolution"].value
    return convert_to_um(n_units / n_px, str(metadata.get("unit", "")))


def _read_resolution(tiff: tifffile.TiffFile) -> float | None:
    if tiff.is_imagej:  # its resolution is per unit of its own
        return None
    tags: Any = tiff.pages.first.tags
    n_px, n_units = tags["XResolution"].value
    um_per_unit = _UM_PER_RESOLUTION_UNIT.get(int(tags["ResolutionUnit"].value))
    if um_per_unit is None:
        return None
    um_per_px = float(um_per_unit * n_units / n_px)
    low, high = _PLAUSIBLE_UM_PER_PX
    return um_per_px if low < um_per_px < high else None
