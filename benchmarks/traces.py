"""Traces and activity compared with other packages: time, and agreement with truth."""

from __future__ import annotations

import time
import tracemalloc

import call_timing
import numpy as np
import peers
import simulated_fields

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
    shape = (simulated_fields.SIDE_PX, simulated_fields.SIDE_PX)
    # One image, which is in the cache as an image is that was just registered.
    images = [rng.normal(100, 30, shape).astype(np.float32)] * 40
    return {str(n): _compare_extraction(n, images) for n in ROI_COUNTS}


def _compare_extraction(n: int, images: list[Array]) -> dict[str, float]:
    masks = make_cell_masks(simulated_fields.scatter_rois(n), Settings().traces)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    cell, neuropil = np.empty((2, n), np.float32)

    def ours(image: Array) -> None:
        extractor.extract_traces(image, cell, neuropil)

    theirs = peers.make_sparse_extraction(masks.cells, masks.neuropil)
    return {
        "ours_ms": call_timing.time_calls(ours, images).p50,
        "scipy_ms": call_timing.time_calls(theirs, images).p50,
        "ratio": call_timing.measure_time_ratio(ours, theirs, images),
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
    out, denoised = np.empty(n, np.float32), np.empty_like(noisy)
    durations_us = []
    for t, values in enumerate(noisy):
        start = time.perf_counter()
        online.deconvolve_frame(values, out)
        durations_us.append(1e6 * (time.perf_counter() - start) / n)
        denoised[t] = online.denoised_dff
    figures = {
        "us": float(np.median(durations_us)),
        "r_denoised": _mean_correlation(denoised, calcium),
    }
    available = peers.make_available({"oasis-deconv": peers.make_oasis}, 0.95)
    if available:
        offline = available["oasis-deconv"]
        start = time.perf_counter()
        for trace in noisy.T[:100]:
            offline(trace)
        figures["oasis_us"] = 1e6 * (time.perf_counter() - start) / (100 * n_frames)
    return figures


def compare_traces() -> dict[str, dict[str, float]]:
    """Return r of dF/F with the truth: registered, with true shifts, unregistered."""
    return {
        light: _compare_traces(
            simulated_fields.simulate_active_cells(photons, N_ACTIVE_FRAMES)
        )
        for light, photons in simulated_fields.PHOTONS.items()
    }


def _compare_traces(field: simulated_fields.ActiveField) -> dict[str, float]:
    settings = Settings()
    registrar = Registrar(field.template, settings.registration)
    masks = make_cell_masks(field.rois, settings.traces)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    image = np.empty_like(field.template)
    coefficient = np.float32(settings.traces.neuropil_coefficient)
    traces: dict[str, list[Array]] = {"ours": [], "true shift": [], "none": []}
    for frame, (y, x) in zip(field.render_frames(), field.shifts_px, strict=True):
        shifts = {
            "ours": registrar.estimate_shift(frame),
            "true shift": FrameShift(y, x, 1.0, True),
            "none": FrameShift(0.0, 0.0, 1.0, True),
        }
        for name, shift in shifts.items():
            cell, neuropil = np.empty((2, len(field.rois)), np.float32)
            registrar.undo_shift(frame, shift, image)
            extractor.extract_traces(image, cell, neuropil)
            traces[name].append(cell - coefficient * neuropil)
    return {
        name: _mean_correlation(np.array(v), field.activity)
        for name, v in traces.items()
    }


def _mean_correlation(estimate: Array, truth: Array) -> float:
    return float(
        np.mean(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(estimate.T, truth.T, strict=True)]
        )
    )


def measure_frame_processor(n: int = 1000) -> dict[str, float]:
    """Return p50 and p99 in ms of all processing of a frame, and its memory."""
    settings = Settings()
    field = simulated_fields.simulate_rigid_motion(simulated_fields.PHOTONS["hi"], 40)
    masks = make_cell_masks(simulated_fields.scatter_rois(n), settings.traces)
    processor = FrameProcessor(field.template, masks, RATE_HZ, settings)
    started = time.perf_counter()
    processor.warm_up()
    warm_s = time.perf_counter() - started
    frames = [field.frames[k % 40] for k in range(N_PROCESSED_FRAMES)]
    timing = call_timing.time_calls(processor.process_frame, frames)
    return {
        "p50_ms": timing.p50,
        "p99_ms": timing.p99,
        "warm_up_s": warm_s,
        "allocated_bytes_per_frame": _measure_allocation(processor, frames[:100]),
    }


def _measure_allocation(processor: FrameProcessor, frames: list[Array]) -> float:
    """Return the bytes per frame that stay allocated after the traces are dropped."""
    tracemalloc.start()
    processor.process_frame(frames[0])
    before = tracemalloc.get_traced_memory()[0]
    for frame in frames:
        processor.process_frame(frame)
    allocated = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return allocated / len(frames)


def compare_dff_with_maximin() -> dict[str, float]:
    """Return correlation and mean difference of our causal dF/F with Suite2p's."""
    rng = np.random.default_rng(0)
    n_frames, n = 3600, 50
    drift = 1 + 0.2 * np.sin(np.linspace(0, 3, n_frames))[:, None]
    calcium = np.zeros((n_frames, n))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + 0.4 * rng.poisson(0.01, n)
    cell = (200 * drift * (1 + calcium) + rng.normal(0, 10, calcium.shape)).astype("f4")
    calculator = DffCalculator(n, RATE_HZ, Settings().traces)
    ours, out = np.empty_like(cell), np.empty(n, np.float32)
    for t, values in enumerate(cell):
        calculator.compute_dff(values, np.zeros(n, np.float32), out)
        ours[t] = out
    baseline = peers.compute_maximin_baseline(cell, RATE_HZ)
    theirs = (cell - baseline) / baseline
    counted = slice(300, None)  # before, our baseline still adapts
    return {
        "r": _mean_correlation(ours[counted], theirs[counted]),
        "difference": float((ours - theirs)[counted].mean()),
    }
