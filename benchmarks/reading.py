"""From images to activity against peers: milliseconds, and traces against truth."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pairs
import peers
import worlds

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.registration.registrar import Registrar, Shift
from rtrecon.imaging.traces.baseline import RelativeChange
from rtrecon.imaging.traces.deconvolution import OnlineDeconvolver
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import with_rings

RATE_HZ = 30.0
ROI_COUNTS = (100, 500, 1000, 5000)
N_ACTIVE_FRAMES, N_CHAIN_FRAMES = 600, 400


def extraction() -> dict[str, dict[str, float]]:
    """By number of ROIs: our ms, scipy's ms, ratio of pairs."""
    rng = np.random.default_rng(0)
    shape = (worlds.SIDE_PX, worlds.SIDE_PX)
    # One image, which is in the cache as it is when it has just been registered.
    images = [rng.normal(100, 30, shape).astype(np.float32)] * 40
    return {str(n): _extraction(n, images) for n in ROI_COUNTS}


def _extraction(n: int, images: list[Array]) -> dict[str, float]:
    masks = with_rings(worlds.scattered_rois(n), Settings().traces)
    extractor = TraceExtractor(masks.cells, masks.rings)
    cell, ring = np.empty((2, n), np.float32)

    def ours(image: Array) -> None:
        extractor.extract(image, cell, ring)

    theirs = peers.csr_extract(masks.cells, masks.rings)
    return {
        "ours_ms": pairs.timed(ours, images).p50,
        "scipy_ms": pairs.timed(theirs, images).p50,
        "ratio": pairs.ratio(ours, theirs, images),
    }


def deconvolution(n: int = 1000, n_frames: int = 1500) -> dict[str, float]:
    """Us per neuron and frame; r with the true calcium at once and two frames later.

    The published comparison's traces: decay 0.95 per frame, noise of s.d. 0.3.
    """
    rng = np.random.default_rng(0)
    calcium = np.zeros((n_frames, n))
    spikes = rng.poisson(0.05, (n_frames, n))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + spikes[t]
    noisy = (calcium + 0.3 * rng.normal(size=calcium.shape)).astype(np.float32)
    decay_s = -1.0 / (RATE_HZ * np.log(0.95))
    traces = Settings().traces.model_copy(update={"decay_s": decay_s})
    online = OnlineDeconvolver(n, RATE_HZ, traces)
    out, at_once = np.empty(n, np.float32), np.empty_like(noisy)
    taken_us = []
    for t, values in enumerate(noisy):
        start = time.perf_counter()
        online.update(values, out)
        taken_us.append(1e6 * (time.perf_counter() - start) / n)
        at_once[t] = online.calcium
    found = {
        "us": float(np.median(taken_us)),
        "r_at_once": _mean_r(at_once, calcium),
    }
    made = peers.available({"oasis-deconv": peers.oasis_offline}, 0.95)
    if made:
        offline = made["oasis-deconv"]
        start = time.perf_counter()
        for trace in noisy.T[:100]:
            offline(trace)
        found["oasis_us"] = 1e6 * (time.perf_counter() - start) / (100 * n_frames)
    return found


def traces() -> dict[str, dict[str, float]]:
    """By light: r of dF/F with the truth, as registered and with the true shifts."""
    return {
        light: _traces(worlds.active_world(photons, N_ACTIVE_FRAMES))
        for light, photons in worlds.PHOTONS.items()
    }


def _traces(world: worlds.Active) -> dict[str, float]:
    settings = Settings()
    registrar = Registrar(world.template, settings.register_)
    masks = with_rings(world.rois, settings.traces)
    extractor = TraceExtractor(masks.cells, masks.rings)
    image = np.empty_like(world.template)
    read = {"ours": [], "true shift": [], "none": []}  # type: dict[str, list[Array]]
    for frame, (y, x) in zip(world.frames(), world.shifts_px, strict=True):
        shifts = {
            "ours": registrar.estimate(frame),
            "true shift": Shift(y, x, 1.0, True),
            "none": Shift(0.0, 0.0, 1.0, True),
        }
        for name, shift in shifts.items():
            cell, ring = np.empty((2, len(world.rois)), np.float32)
            registrar.apply(frame, shift, image)
            extractor.extract(image, cell, ring)
            read[name].append(cell - settings.traces.neuropil_coefficient * ring)
    return {name: _mean_r(np.array(v), world.activity) for name, v in read.items()}


def _mean_r(found: Array, truth: Array) -> float:
    return float(
        np.mean(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, truth.T, strict=True)]
        )
    )


def chain(n: int = 1000) -> dict[str, float]:
    """The whole front for one frame: p50, p99 in ms, and bytes held on to."""
    settings = Settings()
    world = worlds.rigid_world(worlds.PHOTONS["hi"], 40)
    masks = with_rings(worlds.scattered_rois(n), settings.traces)
    whole = Chain(world.template, masks, RATE_HZ, settings)
    started = time.perf_counter()
    whole.warm_up()
    warm_s = time.perf_counter() - started
    frames = [world.frames[k % 40] for k in range(N_CHAIN_FRAMES)]
    timing = pairs.timed(whole.process, frames)
    return {
        "p50_ms": timing.p50,
        "p99_ms": timing.p99,
        "warm_up_s": warm_s,
        "grown_bytes_per_frame": _grown_bytes(whole, frames[:100]),
    }


def _grown_bytes(whole: Chain, frames: list[Array]) -> float:
    """Bytes that stay allocated per frame, once nobody holds the samples."""
    tracemalloc.start()
    whole.process(frames[0])
    before = tracemalloc.get_traced_memory()[0]
    for frame in frames:
        whole.process(frame)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown / len(frames)


def dff_against_maximin() -> dict[str, float]:
    """Correlation and mean difference of our causal dF/F with Suite2p's, offline."""
    rng = np.random.default_rng(0)
    n_frames, n = 3600, 50
    drift = 1 + 0.2 * np.sin(np.linspace(0, 3, n_frames))[:, None]
    calcium = np.zeros((n_frames, n))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + 0.4 * rng.poisson(0.01, n)
    cell = (200 * drift * (1 + calcium) + rng.normal(0, 10, calcium.shape)).astype("f4")
    change = RelativeChange(n, RATE_HZ, Settings().traces)
    ours, out = np.empty_like(cell), np.empty(n, np.float32)
    for t, values in enumerate(cell):
        change.update(values, np.zeros(n, np.float32), out)
        ours[t] = out
    base = peers.maximin(cell, RATE_HZ)
    theirs = (cell - base) / base
    settled = slice(300, None)
    return {
        "r": _mean_r(ours[settled], theirs[settled]),
        "difference": float((ours - theirs)[settled].mean()),
    }
