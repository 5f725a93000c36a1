"""Natural-like sounds: gliding harmonics and noise bursts under 1/f envelopes.

Natural sounds have amplitude envelopes whose power falls as 1/f, pitch that glides, and
harmonics (Voss & Clarke 1975; Singh & Theunissen 2003). Events of both kinds overlap at
random, over a quiet background of noise.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.random_draws import draw_log_uniform
from rtrecon.stimulus_space.sound import SAMPLE_RATE_HZ

_EVENTS_HZ = 4.0
_DURATIONS_S = (0.08, 0.9)
_PITCHES_HZ = (150.0, 2500.0)
_MAX_GLIDE_OCTAVES = 1.5
_HIGHEST_HZ = 9000.0
_LEVELS_DB = (-36.0, -8.0)
_BACKGROUND_DB = -58.0
_ENVELOPE_HZ = 100.0  # rate at which envelopes are drawn
_ENVELOPE_SD = 0.8  # of the logarithm


def make_natural_sound(seconds: float, seed: int) -> Array:
    """Return float32 samples in -1..1 at SAMPLE_RATE_HZ."""
    rng = np.random.default_rng([seed, 71])
    n = round(seconds * SAMPLE_RATE_HZ)
    sound = _from_db(_BACKGROUND_DB) * rng.normal(size=n) * _draw_envelope(n, rng)
    for _ in range(rng.poisson(_EVENTS_HZ * seconds)):
        length = round(_draw_log(rng, _DURATIONS_S) * SAMPLE_RATE_HZ)
        start = int(rng.integers(-length + 1, n))
        event = _draw_event(length, rng)
        first, last = max(0, start), min(n, start + length)
        sound[first:last] += event[first - start : last - start]
    return np.asarray(np.tanh(sound), np.float32)  # loud moments saturate softly


def _draw_event(n: int, rng: np.random.Generator) -> Array:
    is_harmonic = rng.random() < 0.65
    event = _draw_harmonics(n, rng) if is_harmonic else _draw_noise_burst(n, rng)
    event *= _draw_envelope(n, rng) * _make_onset(n, rng)
    power = np.sqrt(np.mean(np.square(event))) + 1e-9
    return np.asarray(event * (_from_db(rng.uniform(*_LEVELS_DB)) / power))


def _draw_harmonics(n: int, rng: np.random.Generator) -> Array:
    """Return a pitch that glides, with harmonics that fall off, and a beat."""
    t = np.arange(n) / SAMPLE_RATE_HZ
    glide = rng.uniform(-1, 1) * _MAX_GLIDE_OCTAVES
    curve = np.linspace(0, 1, n) ** rng.uniform(0.5, 2)
    vibrato = 0.04 * np.sin(2 * np.pi * rng.uniform(4, 9) * t + rng.uniform(0, 6))
    pitch = _draw_log(rng, _PITCHES_HZ) * 2 ** (glide * curve + vibrato)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    slope, sound = rng.uniform(0.3, 1.5), np.zeros(n)
    for harmonic in range(1, 1 + int(rng.integers(1, 9))):
        is_below = harmonic * pitch < _HIGHEST_HZ
        sound += (
            is_below * np.sin(harmonic * phase + rng.uniform(0, 6)) / (harmonic**slope)
        )
    beat_hz, depth = _draw_log(rng, (3.0, 25.0)), rng.uniform(0, 0.9)
    return np.asarray(sound * (1 + depth * np.sin(2 * np.pi * beat_hz * t)))


def _draw_noise_burst(n: int, rng: np.random.Generator) -> Array:
    from scipy.signal import butter, sosfilt  # slow to import

    center = _draw_log(rng, (400.0, 6000.0))
    half_width = 2 ** rng.uniform(0.15, 1.0)
    edges = center / half_width, min(center * half_width, 0.95 * SAMPLE_RATE_HZ / 2)
    sos = butter(2, edges, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, rng.normal(size=n)))


def _make_onset(n: int, rng: np.random.Generator) -> Array:
    """Return a rise of 3 to 60 ms and a longer fall."""
    t = np.arange(n) / SAMPLE_RATE_HZ
    rise, fall = _draw_log(rng, (0.003, 0.06)), _draw_log(rng, (0.02, 0.3))
    return (1 - np.exp(-t / rise)) * (1 - np.exp(-(t[-1] - t) / fall))


def _draw_envelope(n: int, rng: np.random.Generator) -> Array:
    """Return a positive envelope (n,) whose logarithm has power 1/f."""
    n_slow = max(4, int(n * _ENVELOPE_HZ / SAMPLE_RATE_HZ) + 2)
    frequency = np.fft.rfftfreq(n_slow)
    amplitude = np.zeros_like(frequency)
    amplitude[1:] = frequency[1:] ** -0.5
    phase = np.exp(2j * np.pi * rng.random(len(frequency)))
    slow = np.fft.irfft(amplitude * phase, n_slow)
    slow *= _ENVELOPE_SD / (slow.std() + 1e-9)
    t = np.linspace(0, n_slow - 1, n)
    return np.asarray(np.exp(np.interp(t, np.arange(n_slow), slow)))


def _draw_log(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(draw_log_uniform(rng, limits, 1)[0])


def _from_db(decibel: float) -> float:
    return float(10 ** (decibel / 20))
