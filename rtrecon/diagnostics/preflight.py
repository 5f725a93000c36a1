"""Before the mouse is on stage: is all in place, and is it fast enough?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.closed_loop.rules import read_rules
from rtrecon.config import InvertSettings, RecordSettings, Settings, WireSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import Neurons, read_neurons
from rtrecon.daemon.sockets import Doors
from rtrecon.encoder.checkpoint import load
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.inversion.live.process import Inverter, silence

_SHAPE = (512, 512)  # tried where nothing says how large the field is
_FRAMES = 150
_WARM_UP = 20
_HOPS = 6


def check(settings: Settings) -> Iterator[str]:
    """Yield a sentence per thing that is right; raises UserError at the first wrong."""
    neurons = read_neurons(settings)
    yield from _neurons_found(neurons)
    yield from _rules_make_sense(settings)
    yield from _ports_free(settings.wire)
    yield from _folder_writable(settings.record)
    if not neurons.are_units:
        yield from _front_speed(settings, neurons)
    if neurons.card is not None:
        yield from _inverter_speed(settings, neurons.card.path)


def _neurons_found(neurons: Neurons) -> Iterator[str]:
    if neurons.card is None and neurons.are_units:
        yield "units: whatever the session tells of; no encoder, so no movie"
        return
    if neurons.card is None:
        yield f"masks: {neurons.path}; no encoder, so traces but no movie"
        return
    meta = neurons.card.meta
    yield (
        f"encoder: {neurons.card.path.name}, {len(neurons.card.rois)} neurons, "
        f"validation r {meta.get('validation_r')}"
    )


def _rules_make_sense(settings: Settings) -> Iterator[str]:
    rules = read_rules(settings.react)
    if rules:
        yield f"rules: {len(settings.react.rules)} of the closed loop"


def _ports_free(wire: WireSettings) -> Iterator[str]:
    Doors.bind(wire).close()
    for address in (wire.frames, wire.tcp, wire.publish, wire.control, wire.results):
        if address != "off":
            yield f"port: {address} is free"
    yield f"keys: {wire.keys}" if wire.keys else "keys: none, for this computer only"


def _folder_writable(record: RecordSettings) -> Iterator[str]:
    if not record.enabled:
        yield "recording: off"
        return
    folder = Path(record.folder)
    probe = folder / ".rtrecon-check"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"record.folder = {folder} cannot be written: {error}; choose another"
        ) from None
    yield f"recording: {folder.resolve()} can be written"


def _front_speed(settings: Settings, neurons: Neurons) -> Iterator[str]:
    images = neurons.card.mean_image if neurons.card else _texture()[None]
    planes, lines, pixels = images.shape
    field = neurons.field((lines, pixels), planes)
    template, rois = images[0], field.rois.subset(field.places(0))
    masks = with_rings(rois, settings.traces)
    chain = Chain(template, masks, settings.align.rate_hz, settings)
    chain.warm_up()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, template.std(), template.shape)
    frame = np.clip(template + noise, -32768, 32767).astype(np.int16)
    times_ms = []
    for _ in range(_FRAMES):
        started = time.perf_counter()
        chain.process(frame)
        times_ms.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(times_ms[_WARM_UP:], (50, 99))
    yield (
        f"front: {p50:.1f} ms per frame (p99 {p99:.1f} ms) for "
        f"{lines} x {pixels} and {len(rois)} neurons: "
        f"sustains {1000 / p50:.0f} frames per second"
    )


def _texture() -> Array:
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    texture = 200 + 50 * np.sin(y / 9.0) * np.cos(x / 7.0)
    return np.asarray(texture, np.float32)


def _inverter_speed(settings: Settings, path: Path) -> Iterator[str]:
    invert: InvertSettings = settings.invert
    inverter = Inverter(load(path), invert)
    hop_s = invert.hop_frames / settings.align.rate_hz
    steps = []
    for _ in range(_HOPS):
        inverter.advance(silence(inverter, invert.hop_frames))
        budget_s = invert.budget * hop_s * (0.5 if inverter.null else 1.0)
        steps.append(inverter.refine(inverter.live, time.monotonic() + budget_s))
    per_hop = float(np.median(steps))
    sentence = (
        f"inverter: {per_hop:.0f} steps in each hop of {hop_s * 1e3:.0f} ms "
        f"on {invert.device}"
    )
    yield sentence if per_hop >= 2 else f"{sentence}: too few for a good movie"
