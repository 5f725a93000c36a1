"""One trial of simulated neurons: from movie and behaviour to rates and noisy spikes.

Benchmarks that need no microscope use `simulate_trial` directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import BehaviorTraces
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.simulate.subjects.subject import NOISE_NAMES, Subject

VOLUME_RATE_HZ = 8.0  # of the SENSORIUM recordings
NOISE_TO_MEAN = 5.0  # s.d. of an activity trace divided by its mean, there
_MIN_NOISE_VARIANCE = 1.0  # in squared means, where the rate varies more than that


@dataclass(frozen=True)
class NeuralResponse:
    """Rates and spikes of n neurons.

    rate (T, n): expected spikes per frame, given stimulus and behaviour only.
    spikes (T, n): one trial, with shared noise and the noise of each neuron.
    """

    rate: Array
    spikes: Array


def simulate_trial(
    subject: Subject,
    movie: Array,
    behavior: BehaviorTraces,
    seed: int,
    noise: str = "poisson",
) -> NeuralResponse:
    """Show uint8 (T, 36, 64) to the neurons; `seed` determines the trial's noise.

    noise: one of `NOISE_NAMES`.
    """
    rng = np.random.default_rng([subject.seed, seed])
    rate = subject.respond(movie, behavior)
    gain = subject.draw_shared_gain(len(movie), rng)
    return NeuralResponse(rate, _NOISES[noise](rate * gain, rng))


def draw_poisson_spikes(rate: Array, rng: np.random.Generator) -> Array:
    """Return whole numbers of spikes, float32 (T, n)."""
    return rng.poisson(rate).astype(np.float32)


def draw_sensorium_events(rate: Array, rng: np.random.Generator) -> Array:
    """Return activity as noisy as in the SENSORIUM recordings, float32 (T, n).

    Events are rare and of exponential size. All frames of a volume have the mean of
    its events, because such a microscope scans a volume in 1/8 s. The size of a
    neuron's events follows from the s.d. that its activity has: five times its mean.
    """
    mean = rate.mean(0)
    size = mean * _choose_event_size(rate)
    n_events = rng.poisson(rate / np.maximum(size, 1e-9))
    # The sum of k exponential sizes is gamma-distributed with shape k.
    activity = size * rng.gamma(n_events)
    return _average_volumes(activity).astype(np.float32)


def _choose_event_size(rate: Array) -> Array:
    """Return (n,) mean sizes of events, in mean rates of the neuron.

    The variance of a volume's mean is 2 size rate / frames of a volume, plus that of
    the rate.
    """
    variance = rate.var(0) / np.maximum(rate.mean(0), 1e-9) ** 2
    remaining = np.maximum(NOISE_TO_MEAN**2 - variance, _MIN_NOISE_VARIANCE)
    return np.asarray(remaining * (RATE_HZ / VOLUME_RATE_HZ) / 2)


def _average_volumes(activity: Array) -> Array:
    volume = (np.arange(len(activity)) * VOLUME_RATE_HZ / RATE_HZ).astype(int)
    starts = np.flatnonzero(np.diff(volume, prepend=-1))
    n_frames = np.diff(starts, append=len(activity))
    sums = np.add.reduceat(activity, starts, axis=0)
    return np.asarray((sums / n_frames[:, None])[volume])


_DRAWS: tuple[Callable[[Array, np.random.Generator], Array], ...] = (
    draw_poisson_spikes,
    draw_sensorium_events,
)
_NOISES = dict(zip(NOISE_NAMES, _DRAWS, strict=True))
