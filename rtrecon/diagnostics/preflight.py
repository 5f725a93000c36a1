"""Checks before an experiment: settings, files, ports, speed of this computer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.closed_loop.rules import bind_rules
from rtrecon.config import NetworkSettings, RecordingSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import NeuronSource, read_neuron_source
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.inversion.live.backlog import missing_activity
from rtrecon.inversion.live.inversion_pair import InversionPair

_DEFAULT_SHAPE = (512, 512)  # timed if no file gives the size of the field
_N_TIMED_FRAMES = 150
_N_WARM_UP_FRAMES = 20
_N_TIMED_HOPS = 6
_MIN_STEPS_PER_HOP = 2


def run_preflight(settings: Settings) -> Iterator[str]:
    """Yield a sentence per check that passed; raises UserError at the first failure."""
    neurons = read_neuron_source(settings)
    yield _describe_neurons(neurons)
    yield from _check_rules(settings)
    yield from _check_ports(settings.network)
    yield _check_recording_folder(settings.recording)
    if not neurons.has_unit_rates:
        yield _time_frame_processing(settings, neurons)
    if neurons.card is not None:
        yield _time_inversion(settings, neurons.card.path)


def _describe_neurons(neurons: NeuronSource) -> str:
    if neurons.card is None and neurons.has_unit_rates:
        return "units: all that a session has; no encoder, so no movie"
    if neurons.card is None:
        return f"masks: {neurons.masks_path}; no encoder, so traces but no movie"
    validation_r = neurons.card.metadata.get("validation_r")
    return (
        f"encoder: {neurons.card.path.name}, {len(neurons.card.rois)} neurons, "
        f"validation r {validation_r}"
    )


def _check_rules(settings: Settings) -> Iterator[str]:
    if bind_rules(settings.closed_loop):
        yield f"rules: {len(settings.closed_loop.rules)} of the closed loop"


def _check_ports(network: NetworkSettings) -> Iterator[str]:
    DaemonSockets.bind_all(network).close()
    addresses = (
        network.frames,
        network.tcp,
        network.publish,
        network.control,
        network.results,
    )
    for address in addresses:
        if address != "off":
            yield f"port: {address} is free"
    yield f"keys: {network.keys}" if network.keys else "keys: none, this computer only"


def _check_recording_folder(recording: RecordingSettings) -> str:
    if not recording.enabled:
        return "recording: off"
    folder = Path(recording.folder)
    probe = folder / ".rtrecon-check"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"recording.folder = {folder} cannot be written: {error}; choose another"
        ) from None
    return f"recording: {folder.resolve()} can be written"


def _time_frame_processing(settings: Settings, neurons: NeuronSource) -> str:
    images = neurons.card.mean_image if neurons.card else _make_texture()[None]
    planes, lines, pixels = images.shape
    field = neurons.select_for_images((lines, pixels), planes)
    template, rois = images[0], field.rois.select_neurons(field.plane_indices(0))
    masks = make_cell_masks(rois, settings.traces)
    processor = FrameProcessor(
        template, masks, settings.timing.encoder_rate_hz, settings
    )
    processor.warm_up()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, template.std(), template.shape)
    frame = np.clip(template + noise, -32768, 32767).astype(np.int16)
    times_ms = []
    for _ in range(_N_TIMED_FRAMES):
        start_s = time.perf_counter()
        processor.process_frame(frame)
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    p50, p99 = np.percentile(times_ms[_N_WARM_UP_FRAMES:], (50, 99))
    return (
        f"daemon: {p50:.1f} ms per frame (p99 {p99:.1f} ms) for "
        f"{lines} x {pixels} and {len(rois)} neurons: "
        f"sustains {1000 / p50:.0f} frames per second"
    )


def _make_texture() -> Array:
    y, x = np.mgrid[: _DEFAULT_SHAPE[0], : _DEFAULT_SHAPE[1]]
    texture = 200 + 50 * np.sin(y / 9.0) * np.cos(x / 7.0)
    return np.asarray(texture, np.float32)


def _time_inversion(settings: Settings, path: Path) -> str:
    inversion = settings.inversion
    pair = InversionPair(load_checkpoint(path), inversion)
    hop_s = inversion.hop_frames / settings.timing.encoder_rate_hz
    budget_s = inversion.time_budget_fraction * hop_s * (0.5 if pair.null else 1.0)
    steps = []
    for _ in range(_N_TIMED_HOPS):
        missing = missing_activity(len(pair.held_out), inversion.hop_frames)
        pair.push_activity(missing)
        steps.append(pair.take_steps(pair.live, time.monotonic() + budget_s))
    per_hop = float(np.median(steps))
    sentence = (
        f"inverter: {per_hop:.0f} steps in each hop of {hop_s * 1e3:.0f} ms "
        f"on {inversion.device}"
    )
    if per_hop < _MIN_STEPS_PER_HOP:
        return f"{sentence}: too few for a good movie"
    return sentence
