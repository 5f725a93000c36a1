"""Sounds to frames of the sound space, and back by phase retrieval."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.fft import irfft, rfft, rfftfreq

from rtrecon.core.types import Array
from rtrecon.stimulus_space.sound import SAMPLE_RATE_HZ, SOUND

FRAME_SAMPLES = round(SAMPLE_RATE_HZ / SOUND.rate_hz)  # from one frame to the next
WINDOW_SAMPLES = 640  # 32 ms
_FLOOR = 1e-12  # of the energy of a band, so that silence has a logarithm
_N_ITERATIONS = 60
_MOMENTUM = 0.9


def compute_levels(samples: Array) -> Array:
    """Return uint8 levels (T, 24, 1) of a sound, samples in -1..1 at SAMPLE_RATE_HZ.

    Frame k is the energy in a window around its 10 ms; T is the number of whole frames.
    """
    n_frames = len(samples) // FRAME_SAMPLES
    energy = np.square(np.abs(_transform(samples, n_frames)))
    bands = energy @ _make_filters().T
    decibel = 10 * np.log10(bands + _FLOOR)
    return SOUND.to_levels(decibel)[:, :, None]


def synthesize_sound(levels: Array, seed: int = 0) -> Array:
    """Return a sound whose bands have these levels (T, 24, 1), float32 in -1..1.

    Levels say nothing about phases. They start at random and are made consistent with
    the amplitudes (Griffin & Lim 1984, with the momentum of Perraudin et al. 2013).
    """
    levels = np.asarray(levels).reshape(len(levels), -1)
    bands = 10 ** (SOUND.from_levels(levels).astype(np.float64) / 10)
    bands[levels <= 0] = 0  # the lowest level means "this or less"
    amplitude = np.sqrt(bands @ _spread_over_bins())
    rng = np.random.default_rng(seed)
    phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
    previous = np.zeros_like(phase)
    n_frames = len(levels)
    for _ in range(_N_ITERATIONS):
        consistent = _transform(_invert(amplitude * phase), n_frames)
        estimate = consistent + _MOMENTUM * (consistent - previous)
        phase = np.exp(1j * np.angle(estimate))
        previous = consistent
    sound = _invert(amplitude * phase)
    return np.asarray(np.clip(sound, -1, 1), np.float32)


def _transform(samples: Array, n_frames: int) -> Array:
    """Return the spectrum (T, bins) of windows around the middle of each frame."""
    margin = (WINDOW_SAMPLES - FRAME_SAMPLES) // 2
    length = n_frames * FRAME_SAMPLES
    padded = np.pad(np.asarray(samples[:length], np.float64), margin)
    starts = FRAME_SAMPLES * np.arange(n_frames)
    windows = padded[starts[:, None] + np.arange(WINDOW_SAMPLES)] * _make_window()
    # A sine of full scale has the energy 1 in its bin.
    return np.asarray(rfft(windows, axis=1) * (2 / _make_window().sum()))


def _invert(spectrum: Array) -> Array:
    """Return the samples whose spectrum is nearest to (T, bins)."""
    window = _make_window()
    parts = irfft(spectrum / (2 / window.sum()), WINDOW_SAMPLES, axis=1) * window
    margin = (WINDOW_SAMPLES - FRAME_SAMPLES) // 2
    n_frames = len(spectrum)
    sound = np.zeros(n_frames * FRAME_SAMPLES + 2 * margin)
    weight = np.zeros_like(sound)
    for index, part in enumerate(parts):
        samples = slice(index * FRAME_SAMPLES, index * FRAME_SAMPLES + WINDOW_SAMPLES)
        sound[samples] += part
        weight[samples] += np.square(window)
    whole = sound / np.maximum(weight, 1e-6)
    return whole[margin : margin + n_frames * FRAME_SAMPLES]


@cache
def _make_window() -> Array:
    return np.hanning(WINDOW_SAMPLES + 2)[1:-1]


@cache
def _make_filters() -> Array:
    """Return (24, bins): triangles over the logarithm of frequency.

    The share of a bin in all bands is 1 between the lowest and the highest band.
    """
    frequency = rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ)
    centers = np.log2(SOUND.axes[0].positions)
    spacing = centers[1] - centers[0]
    with np.errstate(divide="ignore"):
        octaves = np.log2(frequency)
    distance = np.abs(octaves[None] - centers[:, None]) / spacing
    return np.asarray(np.maximum(0, 1 - distance))


@cache
def _spread_over_bins() -> Array:
    """Return (24, bins): how the energy of each band is divided among its bins."""
    filters = _make_filters()
    return np.asarray(filters / np.square(filters).sum(1, keepdims=True))
