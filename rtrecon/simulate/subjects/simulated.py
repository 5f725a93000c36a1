"""Subject `simulated`: neurons that the authors of rtrecon wrote.

Six kinds of neurons share a field: simple, complex, direction-selective (linear and
energy), and two that no Gabor bank spans: conjunctions of smooth random blobs, and
centre-surround. The drive of each neuron is normalised by the drive of its neighbours,
raised to a power, and multiplied by arousal and by noise that neurons share. Rates,
sparsity and single-trial ceiling follow the Sensorium 2023 recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import BehaviorTraces, ornstein_uhlenbeck_noise
from rtrecon.simulate.movie import MEAN_GRAY, RATE_HZ, SHAPE
from rtrecon.simulate.subjects.receptive_fields import (
    RECORDED_SPREAD_PX,
    draw_centers,
    require_screen_size,
)
from rtrecon.simulate.subjects.subject import (
    SubjectOptions,
    SubjectRequest,
    draw_mean_rates_hz,
)

NEURON_KINDS = (
    "simple",
    "complex",
    "direction",
    "direction-energy",
    "blobs",
    "surround",
)
_KIND_SHARES = (0.24, 0.24, 0.16, 0.16, 0.1, 0.1)
_WIDE_SPREAD = 0.27  # s.d. of receptive-field centres, in heights and widths
_N_TAPS = 12  # frames of memory of the temporal filters
_CALIBRATION_FRAMES = 3000
_N_SHARED_NOISES = 4
_CHUNK_FRAMES = 1000  # frames at a time, so that an hour of movie fits in memory


@dataclass(frozen=True)
class SimulatedMouse:
    """n neurons with fixed tuning; the seed determines everything.

    kind (n,): index into `NEURON_KINDS`. center_px (n, 2): y, x on the screen. filters
    (2 n, 2304): pairs of spatial filters. rise_frames (n,): time of the temporal
    filters' peak. exponent, arousal_gain, half_saturation, rate_scale (n,): of the
    output. shared_noise_loading (noises, n). neighbor_weights (n, n).
    """

    seed: int
    kind: Array
    center_px: Array
    filters: Array
    rise_frames: Array
    exponent: Array
    arousal_gain: Array
    shared_noise_loading: Array
    neighbor_weights: Array
    half_saturation: Array
    rate_scale: Array

    def __len__(self) -> int:
        return len(self.kind)

    def respond(self, movie: Array, behavior: BehaviorTraces) -> Array:
        """Return expected spikes per encoder frame, float32 (T, n); see `Subject`."""
        require_screen_size(movie)
        gain = np.exp(np.outer(behavior.arousal, self.arousal_gain))
        return np.asarray(self._tuned_rate(movie) * gain, np.float32)

    def draw_shared_gain(self, n_frames: int, rng: np.random.Generator) -> Array:
        """Return (T, n), mean 1: a gain that most neurons share, and others of some."""
        shared = ornstein_uhlenbeck_noise(
            (n_frames, _N_SHARED_NOISES), 0.4 * RATE_HZ, rng
        )
        common = shared @ self.shared_noise_loading
        # Half the variance keeps the mean of the exponential at 1.
        common -= 0.5 * (self.shared_noise_loading**2).sum(0)
        return np.asarray(np.exp(common))

    def map_seen_field(self) -> Array:
        """Return (36, 64): mean squared filter by pixel, largest = 1."""
        field = (self.filters.astype(np.float64) ** 2).mean(0).reshape(SHAPE)
        return np.asarray(field / field.max())

    def _tuned_rate(self, movie: Array) -> Array:
        tuned = np.empty((len(movie), len(self)), np.float32)
        for start in range(0, len(movie), _CHUNK_FRAMES):
            context = min(start, _N_TAPS)
            seen = movie[start - context : start + _CHUNK_FRAMES]
            drive = _receptive_field_drive(self, seen)[context:]
            normalised = drive / (self.half_saturation + drive @ self.neighbor_weights)
            tuned[start : start + _CHUNK_FRAMES] = (
                self.rate_scale * normalised**self.exponent
            )
        return tuned


def make_subject(request: SubjectRequest) -> SimulatedMouse:
    """Make the mouse; UserError where its receptive fields do not fit the screen."""
    return make_simulated_mouse(request.options, request.calibration)


def make_simulated_mouse(options: SubjectOptions, calibration: Array) -> SimulatedMouse:
    """Make a mouse; the uint8 movie `calibration` sets its gain and saturation."""
    n_neurons, seed = options.n_neurons, options.mouse_seed
    rng = np.random.default_rng(seed)
    shares = _choose_kind_shares(options.direction_selective)
    kind = rng.choice(len(NEURON_KINDS), n_neurons, p=shares)
    center = draw_centers(n_neurons, _choose_spread_px(options.spread), rng)
    mouse = SimulatedMouse(
        seed=seed,
        kind=kind,
        center_px=center,
        filters=_draw_filters(kind, center, rng),
        rise_frames=rng.choice([1.3, 1.9, 2.6], n_neurons),
        exponent=rng.uniform(1.2, 2.2, n_neurons).astype(np.float32),
        arousal_gain=rng.normal(0.15, 0.25, n_neurons).astype(np.float32),
        shared_noise_loading=_draw_shared_noise_loading(n_neurons, rng),
        neighbor_weights=_neighbor_weights(center),
        half_saturation=np.ones(n_neurons, np.float32),
        rate_scale=np.ones(n_neurons, np.float32),
    )
    return _calibrate_mouse(mouse, calibration[:_CALIBRATION_FRAMES], rng)


def _choose_kind_shares(direction_selective: float | None) -> Array:
    """Return (kinds,) shares that sum to 1."""
    shares = np.array(_KIND_SHARES)
    if direction_selective is None:
        return shares
    is_direction = np.array([kind.startswith("direction") for kind in NEURON_KINDS])
    shares[is_direction] *= direction_selective / shares[is_direction].sum()
    shares[~is_direction] *= (1 - direction_selective) / shares[~is_direction].sum()
    return shares


def _choose_spread_px(spread: float | None) -> tuple[float, float]:
    """Return the s.d. of the centres in y and x; by default over the whole screen."""
    if spread is None:
        return _WIDE_SPREAD * SHAPE[0], _WIDE_SPREAD * SHAPE[1]
    return spread * RECORDED_SPREAD_PX[0], spread * RECORDED_SPREAD_PX[1]


def _calibrate_mouse(
    mouse: SimulatedMouse, movie: Array, rng: np.random.Generator
) -> SimulatedMouse:
    drive = _receptive_field_drive(mouse, movie)
    half = np.sqrt((drive**2).mean(0))
    tuned = (drive / (half + drive @ mouse.neighbor_weights)) ** mouse.exponent
    scale = draw_mean_rates_hz(len(mouse), rng) / RATE_HZ / tuned.mean(0)
    return replace(mouse, half_saturation=half, rate_scale=scale.astype(np.float32))


def _receptive_field_drive(mouse: SimulatedMouse, movie: Array) -> Array:
    """Return (T, n) >= 0: the drive of each neuron's receptive field alone."""
    contrast = (movie.reshape(len(movie), -1).astype(np.float32) - MEAN_GRAY) / 50.0
    pair = (contrast @ mouse.filters.T).reshape(len(movie), -1, 2)
    drive = np.zeros((len(movie), len(mouse)), np.float32)
    for rise in np.unique(mouse.rise_frames):
        fast, slow = compute_temporal_kernels(rise)
        at_rise = np.flatnonzero(mouse.rise_frames == rise)
        early, late = (
            _convolve_causally(fast, pair[:, at_rise]),
            _convolve_causally(slow, pair[:, at_rise]),
        )
        for kind in range(len(NEURON_KINDS)):
            of_kind = mouse.kind[at_rise] == kind
            drive[:, at_rise[of_kind]] = _combine_filters(
                kind, early[:, of_kind], late[:, of_kind]
            )
    return drive


def _combine_filters(kind: int, early: Array, late: Array) -> Array:
    """Combine early and late responses of filter pairs, (T, m, 2), to drive (T, m)."""
    a, b = early[..., 0], early[..., 1]
    c, d = late[..., 0], late[..., 1]
    match NEURON_KINDS[kind]:
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


def compute_temporal_kernels(rise: float) -> tuple[Array, Array]:
    """Return two causal biphasic kernels of unit norm; the second peaks later."""
    t = np.arange(_N_TAPS, dtype=np.float64)

    def bump(peak: float) -> Array:
        return (t / peak) ** 3 * np.exp(3 * (1 - t / peak))

    fast = bump(rise) - 0.55 * bump(2.1 * rise)
    slow = bump(1.7 * rise) - 0.55 * bump(3.2 * rise)
    return fast / np.linalg.norm(fast), slow / np.linalg.norm(slow)


def _convolve_causally(kernel: Array, signal: Array) -> Array:
    """Return the causal convolution of each column of (T, ...) with the kernel."""
    out = np.zeros_like(signal)
    for delay, weight in enumerate(kernel.astype(np.float32)):
        out[delay:] += weight * signal[: max(0, len(signal) - delay)]
    return out


def _draw_filters(kind: Array, center: Array, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    pairs = []
    for kind_index, (cy, cx) in zip(kind, center, strict=True):
        pairs.extend(_draw_filter_pair(NEURON_KINDS[kind_index], y - cy, x - cx, rng))
    flat = np.stack(pairs).reshape(len(pairs), -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    flat[np.abs(flat) < 1e-6] = 0  # denormal numbers make products 20 times slower
    return flat.astype(np.float32)


def _draw_filter_pair(
    kind: str, y: Array, x: Array, rng: np.random.Generator
) -> list[Array]:
    sigma = np.exp(rng.normal(np.log(3.0), 0.25))
    if kind == "blobs":
        return [_draw_blob(y, x, sigma, rng), _draw_blob(y, x, sigma, rng)]
    if kind == "surround":
        sign = rng.choice([-1.0, 1.0])
        spot = sign * (
            _gaussian(y, x, sigma) / sigma**2
            - _gaussian(y, x, 2.2 * sigma) / (2.2 * sigma) ** 2
        )
        return [spot, spot]
    return _draw_gabor_pair(y, x, sigma, rng)


def _draw_gabor_pair(
    y: Array, x: Array, sigma: float, rng: np.random.Generator
) -> list[Array]:
    angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    cycles = rng.uniform(0.18, 0.42) / sigma  # px^-1; one to two subfields
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (y * np.cos(angle) - x * np.sin(angle)) / rng.uniform(1.0, 1.8)
    envelope = np.exp(-(along**2 + across**2) / (2 * sigma**2))
    wave = 2 * np.pi * cycles * along + phase
    return [envelope * np.cos(wave), envelope * np.sin(wave)]


def _draw_blob(y: Array, x: Array, sigma: float, rng: np.random.Generator) -> Array:
    dy, dx = rng.normal(0, 1.2 * sigma, 2)
    stretch = rng.uniform(0.6, 1.5)
    spot = np.exp(-((y - dy) ** 2 * stretch + (x - dx) ** 2 / stretch) / (2 * sigma**2))
    return np.asarray(rng.choice([-1.0, 1.0]) * spot)


def _gaussian(y: Array, x: Array, sigma: float) -> Array:
    return np.asarray(np.exp(-(y**2 + x**2) / (2 * sigma**2)))


def _neighbor_weights(center: Array) -> Array:
    """Return (n, n): each column averages the drive of neurons within about 8 px."""
    apart = ((center[:, None] - center[None]) ** 2).sum(-1)
    near = np.exp(-apart / (2 * 8.0**2))
    return (near / near.sum(0)).astype(np.float32)


def _draw_shared_noise_loading(n_neurons: int, rng: np.random.Generator) -> Array:
    """Return (noises, n): the first noise raises nearly all neurons, others some."""
    loading = rng.normal(0, 0.2, (_N_SHARED_NOISES, n_neurons))
    loading[0] += 0.35
    return loading.astype(np.float32)
