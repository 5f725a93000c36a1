"""Milliseconds of every step of the front, and the error of registration.

512 x 512 int16 frames, 1000 neurons with annuli, one thread. The world is a canvas of
twice the resolution, moved in Fourier space: exact, and no interpolator is favoured.
Run: python benchmarks/front.py
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import gaussian_filter

from rtrecon.acquire.baseline import RelativeChange
from rtrecon.acquire.chain import Chain
from rtrecon.acquire.deconvolve import OnlineDeconvolver
from rtrecon.acquire.neuropil import with_rings
from rtrecon.acquire.register import Registrar
from rtrecon.acquire.traces import TraceExtractor
from rtrecon.config import Settings
from rtrecon.rois import RoiSet, from_pixels
from rtrecon.wire import Array

SIDE_PX, N_ROIS, RATE_HZ = 512, 1000, 30.0
N_FRAMES, N_WARM_UP, N_REPEATS = 60, 20, 400
COUNTS_PER_PHOTON, READ_NOISE = 30.0, 10.0
PHOTONS = {"hi": 2.0, "lo": 0.2}  # per pixel and frame


@dataclass(frozen=True)
class World:
    """A movie of one field under known motion."""

    template: Array  # (lines, pixels) float32, mean of 100 still frames
    frames: Array  # (n, lines, pixels) int16
    shifts_px: Array  # (n, 2)


def make_world(photons: float, seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    spectrum = rfft2(_canvas(rng))
    shifts = rng.normal(0, 2.0, (N_FRAMES, 2))
    still = _moved(spectrum, (0.0, 0.0))
    counts = rng.poisson(100 * photons * still) / 100 * COUNTS_PER_PHOTON
    frames = [_detected(photons * _moved(spectrum, s), rng) for s in shifts]
    return World(counts.astype(np.float32), np.array(frames), shifts)


def _canvas(rng: np.random.Generator) -> Array:
    """Ring somata on neuropil of three scales, mean 1, two samples per pixel."""
    side = 2 * SIDE_PX
    canvas = np.ones((side, side))
    for sigma, depth in ((6, 0.25), (20, 0.2), (120, 0.2)):
        texture = gaussian_filter(rng.normal(size=canvas.shape), sigma, mode="wrap")
        canvas += depth * texture / texture.std()
    distance = np.hypot(*(np.mgrid[:61, :61] - 30))
    for top, left in rng.integers(0, side - 61, (300, 2)):
        ring = np.exp(-0.5 * ((distance - rng.uniform(8, 11)) / 2.5) ** 2)
        canvas[top : top + 61, left : left + 61] += rng.lognormal(0.2, 0.5) * ring
    canvas = gaussian_filter(canvas.clip(0.1), 1.2, mode="wrap")
    return np.asarray(canvas / canvas.mean())


def _moved(spectrum: Array, shift_px: Array | tuple[float, float]) -> Array:
    side = spectrum.shape[0]
    turns = fftfreq(side)[:, None] * shift_px[0] + rfftfreq(side) * shift_px[1]
    image = irfft2(spectrum * np.exp(-4j * np.pi * turns), s=(side, side))
    return image.reshape(SIDE_PX, 2, SIDE_PX, 2).mean((1, 3)).clip(0.01)


def _detected(photons: Array, rng: np.random.Generator) -> Array:
    counts = COUNTS_PER_PHOTON * rng.poisson(photons)
    noisy = counts + rng.normal(0, READ_NOISE, photons.shape)
    return np.clip(np.rint(noisy), -32768, 32767).astype(np.int16)


def make_rois(seed: int = 0) -> RoiSet:
    rows, cols = np.mgrid[-7:8, -7:8]
    disc = np.hypot(rows, cols) < 6.6  # 137 px
    places = np.random.default_rng(seed).integers(8, SIDE_PX - 8, (N_ROIS, 2))
    masks = [(rows[disc] + y, cols[disc] + x, np.ones(disc.sum())) for y, x in places]
    return from_pixels(np.arange(N_ROIS), (SIDE_PX, SIDE_PX), masks)


def registration_error_px(world: World) -> tuple[float, float]:
    """Median and 95th percentile, the constant part taken off."""
    registrar = Registrar(world.template, Settings().register_)
    found = [registrar.estimate(frame) for frame in world.frames]
    errors = np.array([(s.y_px, s.x_px) for s in found]) - world.shifts_px
    distances = np.hypot(*(errors - np.median(errors, 0)).T)
    return float(np.median(distances)), float(np.percentile(distances, 95))


def timings_ms(world: World) -> dict[str, Array]:
    """Milliseconds of each call, by step."""
    settings, rois = Settings(), make_rois()
    masks = with_rings(rois, settings.traces)
    chain = Chain(world.template, masks, RATE_HZ, settings)
    chain.warm_up()
    registrar = Registrar(world.template, settings.register_)
    extractor = TraceExtractor(rois, masks.rings)
    change = RelativeChange(N_ROIS, RATE_HZ, settings.traces)
    deconvolver = OnlineDeconvolver(N_ROIS, RATE_HZ, settings.traces)
    image = np.empty((SIDE_PX, SIDE_PX), np.float32)
    cell, ring, dff, activity = np.empty((4, N_ROIS), np.float32)
    frames, shift = world.frames, registrar.estimate(world.frames[0])
    steps: dict[str, Callable[[int], object]] = {
        "estimate": lambda k: registrar.estimate(frames[k]),
        "apply": lambda k: registrar.apply(frames[k], shift, image),
        "cells + annuli": lambda k: extractor.extract(image, cell, ring),
        "dF/F": lambda k: change.update(cell, ring, dff),
        "deconvolve": lambda k: deconvolver.update(dff, activity),
        "whole chain": lambda k: chain.process(frames[k]),
    }
    return {name: _time_ms(step) for name, step in steps.items()}


def _time_ms(step: Callable[[int], object]) -> Array:
    taken_ms = []
    for repeat in range(N_WARM_UP + N_REPEATS):
        start = time.perf_counter()
        step(repeat % N_FRAMES)
        taken_ms.append(1e3 * (time.perf_counter() - start))
    return np.array(taken_ms[N_WARM_UP:])


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    worlds = {name: make_world(photons) for name, photons in PHOTONS.items()}
    print(f"\n{'registration error':20}{'median px':>12}{'p95 px':>12}")
    for name, world in worlds.items():
        median_px, p95_px = registration_error_px(world)
        label = f"{name}, {PHOTONS[name]} photons"
        print(f"{label:20}{median_px:12.3f}{p95_px:12.3f}")
    print(f"\n{'step, ' + str(N_ROIS) + ' ROIs':20}{'p50 ms':>12}{'p99 ms':>12}")
    for name, taken_ms in timings_ms(worlds["hi"]).items():
        p50, p99 = np.percentile(taken_ms, (50, 99))
        print(f"{name:20}{p50:12.3f}{p99:12.3f}")


if __name__ == "__main__":
    main()
