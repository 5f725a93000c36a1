"""Traces and activity compared with other packages: time, and agreement with truth."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pairs
import peers
import worlds

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.registration.registrar import FrameShift, Registrar
from rtrecon.imaging.traces.baseline import DffCalculator
from rtrecon.imaging.traces.deconvolution import Ar1Deconvolver
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import make_cell_masks

RATE_HZ = 30.0
ROI_COUNTS = (100, 500, 1000, 5000)
N_ACTIVE_FRAMES, N_PROCESSED_FRAMES = 600, 400


def compare_extraction() -> dict[str, dict[str, float]]:
    """Return our ms, scipy's ms and their ratio, by number of ROIs."""
    rng = np.random.default_rng(0)
    shape = (worlds.SIDE_PX, worlds.SIDE_PX)
    # One image, which is in the cache as an image is that was just registered.
    images = [rng.normal(100, 30, shape).astype(np.float32)] * 40
    return {str(n): _compare_extraction(n, images) for n in ROI_COUNTS}


def _compare_extraction(n: int, images: list[Array]) -> dict[str, float]:
    masks = make_cell_masks(worlds.scattered_rois(n), Settings().traces)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    cell, neuropil = np.empty((2, n), np.float32)

    def ours(image: Array) -> None:
        extractor.extract_traces(image, cell, neuropil)

    theirs = peers.make_sparse_extraction(masks.cells, masks.neuropil)
    return {
        "ours_ms": pairs.time_calls(ours, images).p50,
        "scipy_ms": pairs.time_calls(theirs, images).p50,
        "ratio": pairs.measure_time_ratio(ours, theirs, images),
    }


def compare_deconvolution(n: int = 1000, n_frames: int = 1500) -> dict[str, float]:
    """Return us per neuron and frame, and r of denoised dF/F with the true calcium.

    The traces of the published comparison: decay 0.95 per frame, noise of s.d. 0.3.
    """
    rng = np.random.default_rng(0)
    calcium = np.zeros((n_frames, n))
    spikes = rng.poisson(0.05, (n_frames, n))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + spikes[t]
    noisy = (calcium + 0.3 * rng.normal(size=calcium.shape)).astype(np.float32)
    decay_s = -1.0 / (RATE_HZ * np.log(0.95))
    traces = Settings().traces.model_copy(update={"indicator_decay_s": decay_s})
    online = Ar1Deconvolver(n, RATE_HZ, traces)
    out, at_once = np.empty(n, np.float32), np.empty_like(noisy)
    taken_us = []
    for t, values in enumerate(noisy):
        start = time.perf_counter()
        online.deconvolve_frame(values, out)
        taken_us.append(1e6 * (time.perf_counter() - start) / n)
        at_once[t] = online.denoised_dff
    found = {
        "us": float(np.median(taken_us)),
        "r_at_once": _mean_r(at_once, calcium),
    }
    made = peers.make_available({"oasis-deconv": peers.make_oasis}, 0.95)
    if made:
        offline = made["oasis-deconv"]
        start = time.perf_counter()
        for trace in noisy.T[:100]:
            offline(trace)
        found["oasis_us"] = 1e6 * (time.perf_counter() - start) / (100 * n_frames)
    return found


def compare_traces() -> dict[str, dict[str, float]]:
    """Return r of dF/F with the truth: registered, with true shifts, unregistered."""
    return {
        light: _compare_traces(worlds.active_world(photons, N_ACTIVE_FRAMES))
        for light, photons in worlds.PHOTONS.items()
    }


def _compare_traces(world: worlds.Active) -> dict[str, float]:
    settings = Settings()
    registrar = Registrar(world.template, settings.registration)
    masks = make_cell_masks(world.rois, settings.traces)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    image = np.empty_like(world.template)
    read = {"ours": [], "true shift": [], "none": []}  # type: dict[str, list[Array]]
    for frame, (y, x) in zip(world.frames(), world.shifts_px, strict=True):
        shifts = {
            "ours": registrar.estimate_shift(frame),
            "true shift": FrameShift(y, x, 1.0, True),
            "none": FrameShift(0.0, 0.0, 1.0, True),
        }
        for name, shift in shifts.items():
            cell, neuropil = np.empty((2, len(world.rois)), np.float32)
            registrar.undo_shift(frame, shift, image)
            extractor.extract_traces(image, cell, neuropil)
            read[name].append(cell - settings.traces.neuropil_coefficient * neuropil)
    return {name: _mean_r(np.array(v), world.activity) for name, v in read.items()}


def _mean_r(found: Array, truth: Array) -> float:
    return float(
        np.mean(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, truth.T, strict=True)]
        )
    )


def measure_frame_processor(n: int = 1000) -> dict[str, float]:
    """Return p50 and p99 in ms of one whole frame, and bytes kept allocated."""
    settings = Settings()
    world = worlds.rigid_world(worlds.PHOTONS["hi"], 40)
    masks = make_cell_masks(worlds.scattered_rois(n), settings.traces)
    processor = FrameProcessor(world.template, masks, RATE_HZ, settings)
    started = time.perf_counter()
    processor.warm_up()
    warm_s = time.perf_counter() - started
    frames = [world.frames[k % 40] for k in range(N_PROCESSED_FRAMES)]
    timing = pairs.time_calls(processor.process_frame, frames)
    return {
        "p50_ms": timing.p50,
        "p99_ms": timing.p99,
        "warm_up_s": warm_s,
        "grown_bytes_per_frame": _measure_growth(processor, frames[:100]),
    }


def _measure_growth(processor: FrameProcessor, frames: list[Array]) -> float:
    """Return the bytes per frame that stay allocated after the traces are dropped."""
    tracemalloc.start()
    processor.process_frame(frames[0])
    before = tracemalloc.get_traced_memory()[0]
    for frame in frames:
        processor.process_frame(frame)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown / len(frames)


def compare_dff_with_maximin() -> dict[str, float]:
    """Return correlation and mean difference of our causal dF/F with Suite2p's."""
    rng = np.random.default_rng(0)
    n_frames, n = 3600, 50
    drift = 1 + 0.2 * np.sin(np.linspace(0, 3, n_frames))[:, None]
    calcium = np.zeros((n_frames, n))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + 0.4 * rng.poisson(0.01, n)
    cell = (200 * drift * (1 + calcium) + rng.normal(0, 10, calcium.shape)).astype("f4")
    change = DffCalculator(n, RATE_HZ, Settings().traces)
    ours, out = np.empty_like(cell), np.empty(n, np.float32)
    for t, values in enumerate(cell):
        change.compute_dff(values, np.zeros(n, np.float32), out)
        ours[t] = out
    base = peers.compute_maximin_baseline(cell, RATE_HZ)
    theirs = (cell - base) / base
    settled = slice(300, None)
    return {
        "r": _mean_r(ours[settled], theirs[settled]),
        "difference": float((ours - theirs)[settled].mean()),
    }
