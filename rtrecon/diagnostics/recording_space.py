"""Checks the folder of the recordings, and for how long its disk has space."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import format_duration
from rtrecon.daemon.field_neurons import NeuronSource
from rtrecon.rois.readers.registry import load_rois_of_any_field
from rtrecon.session.about import About, DishAbout
from rtrecon.session.tables import TableSpec, make_table_specs

DEFAULT_SHAPE = (512, 512)  # lines, pixels of a field whose size no file gives
_DEFAULT_RATE_HZ = 30.0
_DISH_INTERVAL_S = 600.0
_MIN_MINUTES, _SHORT_MINUTES = 10, 120
_BYTES_PER_COLUMN = 8
_BYTES_PER_PIXEL = 2


def check_recording_folder(settings: Settings, neurons: NeuronSource) -> str:
    """Return a sentence on folder and space; UserError if a recording would fail."""
    recording = settings.recording
    if not recording.enabled:
        return "recording: off"
    folder = Path(recording.folder)
    _require_writable(folder)
    free_bytes = shutil.disk_usage(folder).free
    bytes_per_s = estimate_bytes_per_s(settings, neurons)
    minutes = free_bytes / bytes_per_s / 60
    space = (
        f"{_format_bytes(free_bytes)} left, about {format_duration(60 * minutes)} at "
        f"{_format_bytes(bytes_per_s)} per second"
    )
    if minutes < _MIN_MINUTES:
        raise UserError(
            f"recording.folder = {folder} has only {space}; free some space or choose "
            "a folder on another disk"
        )
    advice = ": free some space before a long session"
    return (
        f"recording: {folder.resolve()} can be written, {space}"
        f"{advice if minutes < _SHORT_MINUTES else ''}"
    )


def estimate_bytes_per_s(settings: Settings, neurons: NeuronSource) -> float:
    """Return what a session of these neurons writes; recordings are not compressed."""
    if neurons.is_dish:
        return _estimate_dish_bytes_per_s(settings)
    field = _expect_field(neurons)
    about = About(
        session="check",
        roi_ids=field.ids,
        neuron_ids=field.ids,
        roi_planes=field.planes,
        rate_hz=field.rate_hz,
        encoder_rate_hz=settings.timing.encoder_rate_hz,
        stimulus_space=neurons.space,
        hop_frames=settings.inversion.hop_frames,
        window_frames=settings.inversion.window_frames,
    )
    specs = make_table_specs(about)
    if neurons.card is None or not settings.recording.movie:
        del specs["movie"], specs["spread"]
    bytes_per_s = sum(map(_count_bytes_per_s, specs.values()))
    if settings.recording.raw_messages and not neurons.has_unit_rates:
        n_planes = 1 + max(field.planes, default=0)
        n_pixels = math.prod(field.shape) * n_planes
        bytes_per_s += _BYTES_PER_PIXEL * n_pixels * field.rate_hz
    return bytes_per_s


def _estimate_dish_bytes_per_s(settings: Settings) -> float:
    """Return what a usual time-lapse of one stage position writes."""
    dish = DishAbout(
        shape=DEFAULT_SHAPE,
        view_shape=DEFAULT_SHAPE,
        view_step_px=1,
        um_per_px=1.0,
        interval_s=_DISH_INTERVAL_S,
    )
    rate_hz = 1 / _DISH_INTERVAL_S
    about = About(
        session="check", roi_ids=[], neuron_ids=[], rate_hz=rate_hz, dish=dish
    )
    specs = make_table_specs(about)
    written = [spec for name, spec in specs.items() if name.startswith("dish")]
    bytes_per_s = sum(map(_count_bytes_per_s, written))
    if settings.recording.raw_messages:
        bytes_per_s += _BYTES_PER_PIXEL * math.prod(DEFAULT_SHAPE) * rate_hz
    return bytes_per_s


def _require_writable(folder: Path) -> None:
    probe = folder / ".rtrecon-check"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"recording.folder = {folder} cannot be written: {error}; choose another"
        ) from None


@dataclass(frozen=True)
class _ExpectedField:
    """Neurons and images that a session is expected to have."""

    ids: list[int]
    planes: list[int]  # of each neuron, from 0; empty for a single plane
    shape: tuple[int, int]  # lines, pixels
    rate_hz: float


def _expect_field(neurons: NeuronSource) -> _ExpectedField:
    if neurons.card is not None:
        rois = neurons.card.rois
        rate_hz = float(neurons.card.metadata.get("rate_hz", _DEFAULT_RATE_HZ))
    elif neurons.masks_path is not None:
        rois = load_rois_of_any_field(
            neurons.masks_path, neurons.settings, DEFAULT_SHAPE
        )
        rate_hz = _DEFAULT_RATE_HZ
    else:  # the session itself brings its units
        return _ExpectedField([], [], DEFAULT_SHAPE, _DEFAULT_RATE_HZ)
    planes = rois.planes.tolist()
    return _ExpectedField(
        rois.ids.tolist(), planes if any(planes) else [], rois.shape, rate_hz
    )


def _count_bytes_per_s(spec: TableSpec) -> float:
    n_bytes = len(spec.columns) * _BYTES_PER_COLUMN
    if spec.values is not None:
        n_bytes += (
            int(np.prod(spec.values.shape)) * np.dtype(spec.values.dtype).itemsize
        )
    return n_bytes * spec.rate_hz


def _format_bytes(n_bytes: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"
