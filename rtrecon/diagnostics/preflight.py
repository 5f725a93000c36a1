"""Checks before an experiment: settings, files, ports, speed of this computer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from rtrecon.closed_loop.rules import bind_rules
from rtrecon.config import NetworkSettings, Settings
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import NeuronSource, read_neuron_source
from rtrecon.daemon.session_encoder import choose_session_encoder
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.diagnostics.computer import (
    describe_computer,
    describe_torch,
    measure_disk_mb_per_s,
)
from rtrecon.diagnostics.recording_space import (
    DEFAULT_SHAPE,
    check_recording_folder,
    estimate_bytes_per_s,
)
from rtrecon.dish.tracker import DishTracker
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.inversion.live.backlog import missing_activity
from rtrecon.inversion.live.inversion_pair import InversionPair
from rtrecon.rois.readers.registry import load_rois_of_any_field
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene

_LOAD_INTERVAL_S = 0.5
_MAX_LOAD = 0.25  # of all cores, by other programs
_N_TIMED_FRAMES = 150
_N_WARM_UP_FRAMES = 20
_N_TIMED_HOPS = 6
_N_TRACED_PICTURES = 4  # the first one also compiles
_MIN_STEPS_PER_HOP = 2
_MIN_DISK_RESERVE = 3  # how many times the mean rate a disk should take


def run_preflight(settings: Settings) -> Iterator[str]:
    """Yield a sentence per check that passed; raises UserError at the first failure."""
    settings, notice = choose_session_encoder(settings)
    if notice:
        yield f"encoder.checkpoint = 'session': {notice}"
    neurons = read_neuron_source(settings)
    yield _describe_neurons(neurons)
    yield from _check_rules(settings, neurons)
    yield from _check_ports(settings.network)
    yield check_recording_folder(settings, neurons)
    if settings.recording.enabled:
        yield _measure_disk(settings, neurons)
    yield describe_computer()
    yield describe_torch()
    yield _measure_load()
    if neurons.is_dish:
        yield _time_tracing(settings)
    elif not neurons.has_unit_rates:
        yield _time_frame_processing(settings, neurons)
    if neurons.card is not None:
        yield _time_inversion(settings, neurons.card.path)


def _describe_neurons(neurons: NeuronSource) -> str:
    if neurons.is_dish:
        return "neurons in a dish: traced in each picture; no masks, no encoder"
    if neurons.card is None and neurons.has_unit_rates:
        return "units: all that a session has; no encoder, so no movie"
    if neurons.card is None:
        return f"masks: {neurons.masks_path}; no encoder, so traces but no movie"
    validation_r = neurons.card.metadata.get("validation_r")
    return (
        f"encoder: {neurons.card.path.name}, {len(neurons.card.rois)} neurons, "
        f"validation r {validation_r}"
    )


def _check_rules(settings: Settings, neurons: NeuronSource) -> Iterator[str]:
    if bind_rules(settings.closed_loop, neurons.space):
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


def _measure_disk(settings: Settings, neurons: NeuronSource) -> str:
    speed = measure_disk_mb_per_s(Path(settings.recording.folder))
    needed = estimate_bytes_per_s(settings, neurons) / 1e6
    sentence = f"disk: {speed:.0f} MB per second written"
    if speed < _MIN_DISK_RESERVE * needed:
        return (
            f"{sentence}, but the recording may need {_MIN_DISK_RESERVE} x {needed:.0f}"
            " for moments; record on a faster disk"
        )
    return sentence


def _measure_load() -> str:
    """Return what other programs use of the processor; this one does nothing now."""
    share = psutil.cpu_percent(interval=_LOAD_INTERVAL_S) / 100
    sentence = f"load: other programs use {share:.0%} of {os.cpu_count()} cores"
    if share > _MAX_LOAD:
        return f"{sentence}; close them, or the speeds below are too low"
    return sentence


def _time_frame_processing(settings: Settings, neurons: NeuronSource) -> str:
    images = neurons.card.mean_image if neurons.card else _make_textures(neurons)
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


def _time_tracing(settings: Settings) -> str:
    """Return how long the newest pictures of a simulated dish take to trace."""
    scene = DishScene(n_frames=_N_TRACED_PICTURES)
    film = settings.dish.describe_film(scene.um_per_px, scene.interval_s)
    tracker = DishTracker(film)
    times_ms = []
    for frame in film_dish(scene):
        start_s = time.perf_counter()
        tracker.process_frame(frame.image)
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    return (
        f"daemon: {np.median(times_ms[1:]):.0f} ms per picture of {scene.side_px} x "
        f"{scene.side_px} and {scene.n_neurons} neurons"
    )


def _make_textures(neurons: NeuronSource) -> Array:
    """Return images (planes, lines, pixels) of a field that fits the masks."""
    shape, n_planes = DEFAULT_SHAPE, 1
    if neurons.masks_path is not None:
        rois = load_rois_of_any_field(
            neurons.masks_path, neurons.settings, DEFAULT_SHAPE
        )
        shape, n_planes = rois.shape, int(rois.planes.max(initial=0)) + 1
    y, x = np.mgrid[: shape[0], : shape[1]]
    texture = 200 + 50 * np.sin(y / 9.0) * np.cos(x / 7.0)
    return np.tile(np.asarray(texture, np.float32), (n_planes, 1, 1))


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
