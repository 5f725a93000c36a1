"""A mouse's visual cortex: from movie and behaviour to spikes, with the truth kept.

Five kinds of neurons share a field: simple, complex, direction-selective (linear and
energy), and two that no Gabor bank spans: conjunctions of smooth random blobs, and
centre-surround. Each is normalised by its neighbours' drive, raised to a power,
multiplied by arousal and by noise shared across neurons, and made to fire by Poisson.
Rates, sparsity and single-trial ceiling follow the Sensorium 2023 recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import Behavior, slow_noise
from rtrecon.simulate.movie import MEAN, RATE_HZ, SHAPE

KINDS = ("simple", "complex", "direction", "direction-energy", "blobs", "surround")
_SHARE = (0.24, 0.24, 0.16, 0.16, 0.1, 0.1)
_TAPS = 12  # frames of memory of the temporal filters
_CALIBRATION_FRAMES = 3000
_SHARED_DIMS = 4
_CHUNK = 1000  # frames at a time, so that an hour of movie fits in memory


@dataclass(frozen=True)
class Response:
    """rate (T, n): expected spikes per frame given stimulus and behaviour only.

    spikes (T, n): one trial, with shared and Poisson noise on top.
    """

    rate: Array
    spikes: Array


@dataclass(frozen=True)
class Mouse:
    """n neurons with fixed tuning; everything follows from the seed.

    kind (n,) index into KINDS; center (n, 2) px on the screen (y, x); filters
    (2 n, 2304) spatial pairs; rise (n,) frames of the temporal filters' peak.
    """

    seed: int
    kind: Array
    center: Array
    filters: Array
    rise: Array
    power: Array
    arousal_gain: Array
    loading: Array
    neighbours: Array
    half: Array
    scale: Array

    def __len__(self) -> int:
        return len(self.kind)

    def respond(self, movie: Array, behavior: Behavior, seed: int) -> Response:
        """Show uint8 (T, 36, 64) to the mouse; `seed` decides the trial's noise."""
        rng = np.random.default_rng([self.seed, seed])
        gain = np.exp(np.outer(behavior.arousal, self.arousal_gain))
        rate = (self._tuned(movie) * gain).astype(np.float32)
        shared = slow_noise((len(movie), _SHARED_DIMS), 0.4 * RATE_HZ, rng)
        common = shared @ self.loading
        common -= 0.5 * (self.loading**2).sum(0)  # keeps the mean of its exponential
        spikes = rng.poisson(rate * np.exp(common)).astype(np.float32)
        return Response(rate, spikes)

    def _tuned(self, movie: Array) -> Array:
        tuned = np.empty((len(movie), len(self)), np.float32)
        for start in range(0, len(movie), _CHUNK):
            context = min(start, _TAPS)
            seen = movie[start - context : start + _CHUNK]
            drive = _drive(self, seen)[context:]
            normalised = drive / (self.half + drive @ self.neighbours)
            tuned[start : start + _CHUNK] = self.scale * normalised**self.power
        return tuned


def make_mouse(n_neurons: int, seed: int, calibration: Array) -> Mouse:
    """Grow a mouse; `calibration` is uint8 movie that sets its working point."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(len(KINDS), n_neurons, p=_SHARE)
    center = _centers(n_neurons, rng)
    mouse = Mouse(
        seed=seed,
        kind=kind,
        center=center,
        filters=_filters(kind, center, rng),
        rise=rng.choice([1.3, 1.9, 2.6], n_neurons),
        power=rng.uniform(1.2, 2.2, n_neurons).astype(np.float32),
        arousal_gain=rng.normal(0.15, 0.25, n_neurons).astype(np.float32),
        loading=_loading(n_neurons, rng),
        neighbours=_neighbours(center),
        half=np.ones(n_neurons, np.float32),
        scale=np.ones(n_neurons, np.float32),
    )
    return _calibrated(mouse, calibration[:_CALIBRATION_FRAMES], rng)


def _calibrated(mouse: Mouse, movie: Array, rng: np.random.Generator) -> Mouse:
    drive = _drive(mouse, movie)
    half = np.sqrt((drive**2).mean(0))
    tuned = (drive / (half + drive @ mouse.neighbours)) ** mouse.power
    mean_hz = np.exp(rng.normal(np.log(1.3), 0.6, len(mouse)))
    scale = mean_hz / RATE_HZ / tuned.mean(0)
    fields = {**mouse.__dict__, "half": half, "scale": scale.astype(np.float32)}
    return Mouse(**fields)


def _drive(mouse: Mouse, movie: Array) -> Array:
    """Return (T, n) >= 0: what each neuron's receptive field alone makes of it."""
    contrast = (movie.reshape(len(movie), -1).astype(np.float32) - MEAN) / 50.0
    pair = (contrast @ mouse.filters.T).reshape(len(movie), -1, 2)
    drive = np.zeros((len(movie), len(mouse)), np.float32)
    for rise in np.unique(mouse.rise):
        fast, slow = _temporal(rise)
        at_rise = np.flatnonzero(mouse.rise == rise)
        early, late = (
            _filtered(fast, pair[:, at_rise]),
            _filtered(slow, pair[:, at_rise]),
        )
        for kind in range(len(KINDS)):
            own = mouse.kind[at_rise] == kind
            drive[:, at_rise[own]] = _combine(kind, early[:, own], late[:, own])
    return drive


def _combine(kind: int, early: Array, late: Array) -> Array:
    """Turn a pair of filters seen early and late, each (T, m, 2), into drive (T, m)."""
    a, b = early[..., 0], early[..., 1]
    c, d = late[..., 0], late[..., 1]
    match KINDS[kind]:
        case "simple" | "surround":
            return np.maximum(a, 0)
        case "complex":
            return np.sqrt(a**2 + b**2)
        case "direction":
            return np.maximum(a + d, 0)
        case "direction-energy":
            return np.sqrt((a + d) ** 2 + (b - c) ** 2)
        case _:  # both blobs at once
            return np.sqrt(np.maximum(a, 0) * np.maximum(b, 0))


def _temporal(rise: float) -> tuple[Array, Array]:
    """Return two causal kernels of unit norm: biphasic, and the same a little later."""
    t = np.arange(_TAPS, dtype=np.float64)

    def bump(peak: float) -> Array:
        return (t / peak) ** 3 * np.exp(3 * (1 - t / peak))

    fast = bump(rise) - 0.55 * bump(2.1 * rise)
    slow = bump(1.7 * rise) - 0.55 * bump(3.2 * rise)
    return fast / np.linalg.norm(fast), slow / np.linalg.norm(slow)


def _filtered(kernel: Array, signal: Array) -> Array:
    """Return the causal convolution of each column of (T, ...) with the kernel."""
    out = np.zeros_like(signal)
    for delay, weight in enumerate(kernel.astype(np.float32)):
        out[delay:] += weight * signal[: max(0, len(signal) - delay)]
    return out


def _centers(n_neurons: int, rng: np.random.Generator) -> Array:
    """Receptive fields crowd towards the middle of the screen, as on a rig."""
    height, width = SHAPE
    middle = np.array([height / 2, width / 2])
    spread = np.array([0.27 * height, 0.27 * width])
    centers = middle + spread * rng.normal(size=(4 * n_neurons, 2))
    on_screen = np.all((centers >= 0) & (centers < SHAPE), axis=1)
    return centers[on_screen][:n_neurons]


def _filters(kind: Array, center: Array, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    pairs = []
    for own, (cy, cx) in zip(kind, center, strict=True):
        pairs.extend(_pair(KINDS[own], y - cy, x - cx, rng))
    flat = np.stack(pairs).reshape(len(pairs), -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    flat[np.abs(flat) < 1e-6] = 0  # denormal numbers make a product 20 times slower
    return flat.astype(np.float32)


def _pair(kind: str, y: Array, x: Array, rng: np.random.Generator) -> list[Array]:
    sigma = np.exp(rng.normal(np.log(3.0), 0.25))
    if kind == "blobs":
        return [_blob(y, x, sigma, rng), _blob(y, x, sigma, rng)]
    if kind == "surround":
        sign = rng.choice([-1.0, 1.0])
        spot = sign * (
            _gauss(y, x, sigma) / sigma**2
            - _gauss(y, x, 2.2 * sigma) / (2.2 * sigma) ** 2
        )
        return [spot, spot]
    return _gabors(y, x, sigma, rng)


def _gabors(y: Array, x: Array, sigma: float, rng: np.random.Generator) -> list[Array]:
    angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    cycles = rng.uniform(0.18, 0.42) / sigma  # px^-1; one to two subfields
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (y * np.cos(angle) - x * np.sin(angle)) / rng.uniform(1.0, 1.8)
    envelope = np.exp(-(along**2 + across**2) / (2 * sigma**2))
    wave = 2 * np.pi * cycles * along + phase
    return [envelope * np.cos(wave), envelope * np.sin(wave)]


def _blob(y: Array, x: Array, sigma: float, rng: np.random.Generator) -> Array:
    dy, dx = rng.normal(0, 1.2 * sigma, 2)
    stretch = rng.uniform(0.6, 1.5)
    spot = np.exp(-((y - dy) ** 2 * stretch + (x - dx) ** 2 / stretch) / (2 * sigma**2))
    return np.asarray(rng.choice([-1.0, 1.0]) * spot)


def _gauss(y: Array, x: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-(y**2 + x**2) / (2 * sigma**2)))


def _neighbours(center: Array) -> Array:
    """(n, n): each column averages the drive of neurons within about 8 px."""
    apart = ((center[:, None] - center[None]) ** 2).sum(-1)
    near = np.exp(-apart / (2 * 8.0**2))
    return (near / near.sum(0)).astype(np.float32)


def _loading(n_neurons: int, rng: np.random.Generator) -> Array:
    """(dims, n): one fluctuation that lifts nearly all neurons, others that do not."""
    loading = rng.normal(0, 0.2, (_SHARED_DIMS, n_neurons))
    loading[0] += 0.35
    return loading.astype(np.float32)
