"""A clip replayed to the live inversion, with the standard deviation of its movie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.live_inversion import LiveInversionInputs
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.movie_spread import MovieSpread
from rtrecon.inversion.live.posterior_sampler import PosteriorSampler
from rtrecon.inversion.offline.pixel_rates import standardize_behavior
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.stimulus_space.video import IMAGE_SHAPE


@dataclass(frozen=True)
class ReplayedClip:
    """movies and sds: by age in frames, float32 (T, 36, 64), of at most that age.

    The largest age is the final movie. NaN where there is none: sds at the start.
    """

    movies: dict[int, Array]
    sds: dict[int, Array]


def replay_clip(
    checkpoint: Checkpoint,
    target: InversionTarget,
    ages_frames: Sequence[int],
    steps_per_hop: int,
    settings: InversionSettings | None = None,
) -> ReplayedClip:
    """Replay a clip hop by hop, as the inverter does, with a number of steps.

    After them follow the steps of the posterior sample, from which the standard
    deviation is estimated.
    """
    settings = settings or InversionSettings()
    nobody = torch.zeros(checkpoint.encoder.n_neurons, dtype=torch.bool)
    inputs = LiveInversionInputs(checkpoint, settings, nobody, settings.seed)
    inversion = MapInversion.from_inputs(inputs)
    sampler = PosteriorSampler(inversion, settings.seed)
    spread = _make_spread(checkpoint, settings)
    activity = target.activity_tensor()
    behavior = standardize_behavior(checkpoint.calibration, target.behavior_tensor())
    window, hop = settings.window_frames, settings.hop_frames
    ages = [*ages_frames, window - 1]
    movies, sds = (
        {age: np.full((len(target), *IMAGE_SHAPE), np.nan, np.float32) for age in ages}
        for _ in range(2)
    )
    for stop in range(hop, len(target) + 1, hop):
        start = stop - hop
        inversion.push_activity(activity[start:stop], behavior[start:stop])
        for step in range(steps_per_hop):
            inversion.step(step / max(1, steps_per_hop - 1))
        sd = None
        if spread is not None:
            sd = _estimate_sd(inversion, sampler, spread, settings)
        movie = inversion.movie()
        for age in ages:
            first = max(0, stop - 1 - age)
            movies[age][first:stop] = movie[first - stop :]
            if sd is not None:
                by_frame = np.repeat(sd, hop, 0)[::-1]  # oldest frame first
                sds[age][first:stop] = by_frame[first - stop :]
    return ReplayedClip(movies, sds)


def _make_spread(
    checkpoint: Checkpoint, settings: InversionSettings
) -> MovieSpread | None:
    ratio: Tensor | None = checkpoint.calibration.error_ratio
    if ratio is None:
        return None
    return MovieSpread(ratio.numpy(), settings.hop_frames, checkpoint.space)


def _estimate_sd(
    inversion: MapInversion,
    sampler: PosteriorSampler,
    spread: MovieSpread,
    settings: InversionSettings,
) -> Array | None:
    """Return the s.d. by age (ages, 36, 64), newest first; None after few hops."""
    sampler.push_activity(settings.hop_frames)
    sampler.step(settings.spread_steps)
    spread.add_hop(*sampler.describe_spread())
    return spread.compute_sd(make_dct_basis().pixel_sd(inversion.prior_variance))
