"""Reader for the `.mesc` files of Femtonics' microscopes.

Such a file is HDF5. Its groups `/MSession_i/MUnit_j` are measurements, each with a
dataset `Channel_k` of (frames, lines, pixels), uint16, for every detector. The layout
follows the public readers of the format (roiextractors, mesc-io, Mesmerize); nobody has
tested this reader on the file of a microscope.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.hdf5 import open_hdf5
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)

_MAX_BLOCK_BYTES = 64 * 1024 * 1024
_DEPTH_AXIS_ROLE = 3  # of `ZAxisGeomRole`: the third axis of the images is depth
_SECONDS_BY_UNIT = {"ms": 1e-3, "s": 1.0, "us": 1e-6, "µs": 1e-6, "": 1e-3}
_MICROMETRES = ("um", "µm", "μm")
_MAX_PIXEL = np.uint16(0xFFFF)


@dataclass(frozen=True)
class _Channel:
    """The images of one detector. is_inverted: more light gives lower numbers."""

    data: h5py.Dataset
    is_inverted: bool


class MescRecording(Recording):
    """One measurement of a `.mesc` file; its channels are numbered from 1.

    `hints.dataset` is the path of the measurement, such as /MSession_0/MUnit_2; empty
    if the file holds only one that is a movie. Raises `RecordingError`.
    """

    n_frames: int

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.name = path.name
        self._path = path
        with ExitStack() as stack:
            file = stack.enter_context(open_hdf5(path))
            unit = _find_unit(file, hints.dataset)
            channels = _find_channels(unit)
            self.channels = hints.select_channels(tuple(channels))
            self._channels = [channels[number] for number in self.channels]
            first = self._channels[0].data
            self.shape = (first.shape[1], first.shape[2])
            self.dtype = np.dtype(np.uint16)
            self._n_times = min(channel.data.shape[0] for channel in self._channels)
            self.n_frames = self._n_times * len(self.channels)
            self.rate_hz = hints.resolve_rate_hz(_read_rate_hz(unit))
            self.um_per_px = _read_pixel_um(unit)
            self.notice = _describe_unit(unit, self.channels)
            self._open_file = stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames, read in blocks; their times follow from the rate."""
        step = self._count_block_frames()
        for start in range(0, self._n_times, step):
            blocks = [self._read_block(each, start, step) for each in self._channels]
            for k, images in enumerate(zip(*blocks, strict=True), start):
                t_s = k / self.rate_hz
                for channel, pixels in zip(self.channels, images, strict=True):
                    yield RecordedFrame(k + 1, t_s, pixels, channel=channel)

    def close(self) -> None:
        """Close the file."""
        self._open_file.close()

    def _count_block_frames(self) -> int:
        data = self._channels[0].data
        frame_bytes = self.shape[0] * self.shape[1] * 2 * len(self.channels)
        max_frames = max(1, _MAX_BLOCK_BYTES // frame_bytes)
        return min(max_frames, int(data.chunks[0])) if data.chunks else 1

    def _read_block(self, channel: _Channel, start: int, count: int) -> Array:
        stop = min(start + count, self._n_times)
        try:
            block = np.asarray(channel.data[start:stop], np.uint16)
        except Exception as error:  # damaged chunks, unknown filters, a closed file
            raise RecordingError(
                f"{self._path}: frame {start + 1} cannot be read: {error}"
            ) from None
        return _MAX_PIXEL - block if channel.is_inverted else block


def _find_unit(file: h5py.File, name: str) -> h5py.Group:
    units = {unit.name: unit for unit in _list_units(file)}
    if not units:
        raise RecordingError(
            "it has no measurement (/MSession_0/MUnit_0) with images; is it a file of "
            "Femtonics' MESc?"
        )
    movies = [path for path, unit in units.items() if not _is_stack(unit)]
    path = name if name.startswith("/") or not name else f"/{name}"
    if path in units:
        if path not in movies:
            raise RecordingError(f"{path} is a stack in depth, not a movie")
        return units[path]
    if not path and len(movies) == 1:
        return units[movies[0]]
    choices = ", ".join(movies) or "none; the others are stacks in depth"
    if path:
        raise RecordingError(
            f"{path} is no measurement in it; its movies are {choices}"
        )
    raise RecordingError(
        f"it holds {len(movies)} movies ({choices}); name one after the file, such as "
        "mouse.mesc:/MSession_0/MUnit_0"
    )


def _list_units(file: h5py.File) -> list[h5py.Group]:
    """Return the measurements that have images, in the order of their numbers."""
    units = []
    for session in _list_numbered(file, "MSession"):
        for unit in _list_numbered(session, "MUnit"):
            if _list_numbered(unit, "Channel"):
                units.append(unit)
    return units


def _list_numbered(group: Any, name: str) -> list[Any]:
    """Return the members name_0, name_1, ... of a group, in that order."""
    if not isinstance(group, h5py.Group):
        return []
    matches = [re.fullmatch(rf"{name}_(\d+)", key) for key in group]
    numbers = sorted(int(match[1]) for match in matches if match)
    return [group[f"{name}_{number}"] for number in numbers]


def _find_channels(unit: h5py.Group) -> dict[int, _Channel]:
    """Return the images by channel number, from 1; `RecordingError` if they differ."""
    found = {}
    for data in _list_numbered(unit, "Channel"):
        index = int(data.name.rsplit("_", 1)[1])
        if not isinstance(data, h5py.Dataset) or data.ndim != 3 or not data.size:
            shape = list(getattr(data, "shape", ()))
            raise RecordingError(
                f"{data.name} has shape {shape}; (frames, lines, pixels) is needed: "
                "is it a line scan?"
            )
        if data.dtype != np.uint16:
            raise RecordingError(f"{data.name} is {data.dtype}; uint16 is needed")
        scale = _read_number(unit, f"Channel_{index}_Conversion_ConversionLinearScale")
        found[index + 1] = _Channel(data, is_inverted=scale is not None and scale < 0)
    shapes = {channel.data.shape[1:] for channel in found.values()}
    if len(shapes) > 1:
        raise RecordingError(f"the channels of {unit.name} differ in size: {shapes}")
    return found


def _is_stack(unit: h5py.Group) -> bool:
    """Return whether the third axis of the images is depth instead of time."""
    role = _read_number(unit, "ZAxisGeomRole")
    if role is not None:
        return role == _DEPTH_AXIS_ROLE
    return _read_text(unit, "ZAxisConversionUnitName") in _MICROMETRES


def _read_rate_hz(unit: h5py.Group) -> float | None:
    """Return the reciprocal of the frame period, which is the scale of that axis."""
    period = _read_number(unit, "ZAxisConversionConversionLinearScale")
    unit_s = _SECONDS_BY_UNIT.get(_read_text(unit, "ZAxisConversionUnitName"))
    if period is None or unit_s is None or period <= 0:
        return None
    return 1 / (period * unit_s)


def _read_pixel_um(unit: h5py.Group) -> float | None:
    size = _read_number(unit, "XAxisConversionConversionLinearScale")
    is_um = _read_text(unit, "XAxisConversionUnitName") in (*_MICROMETRES, "")
    return size if size is not None and size > 0 and is_um else None


def _describe_unit(unit: h5py.Group, channels: tuple[int, ...]) -> str:
    """Return what the detectors read without light, if the file tells it."""
    dark = {}
    for channel in channels:
        prefix = f"Channel_{channel - 1}_Conversion_ConversionLinear"
        offset, scale = (_read_number(unit, prefix + x) for x in ("Offset", "Scale"))
        if offset and scale:
            zero = -offset / scale
            dark[channel] = float(_MAX_PIXEL) - zero if scale < 0 else zero
    if not any(dark.values()):
        return ""
    texts = [f"{counts:g} (channel {channel})" for channel, counts in dark.items()]
    return (
        f"its detectors read {' and '.join(texts)} counts without light, says the "
        "file; set traces.detector_offset_counts to that"
    )


def _read_number(unit: h5py.Group, name: str) -> float | None:
    """Return a finite attribute, which may be an array of one number; None if none."""
    value = np.ravel(unit.attrs[name]) if name in unit.attrs else np.empty(0)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value[0]):
        return None
    return float(value[0])


def _read_text(unit: h5py.Group, name: str) -> str:
    """Return an attribute that is stored as text, or as the codes of its letters."""
    value = unit.attrs.get(name, "")
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return "".join(chr(int(code)) for code in value.ravel() if code).strip()
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0").strip()
