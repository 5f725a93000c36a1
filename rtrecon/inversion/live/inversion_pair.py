"""Two live inversions side by side: of the recording, and of a null."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.algorithms import create_live_inversion
from rtrecon.inversion.live.backlog import QueuedActivity
from rtrecon.inversion.live.behavior_range import OutOfRangeMonitor
from rtrecon.inversion.live.live_inversion import LiveInversion, LiveInversionInputs
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.movie_spread import MovieSpread
from rtrecon.inversion.live.posterior_sampler import PosteriorSampler
from rtrecon.inversion.neuron_exchange import exchange_neurons

_MIN_TIME_S = 1e-3  # avoids a division by zero at a deadline that has passed


class InversionPair:
    """Inverts the recorded activity, and as a null the same with neurons exchanged.

    Both inversions ignore the activity of the held-out neurons. live: inversion of the
    recording. null: inversion of the exchanged activity, None if the settings switch it
    off. held_out: (n,) bool. spread: s.d. of the live movie, None if the settings
    switch it off or the checkpoint has no calibration for it.
    """

    def __init__(self, checkpoint: Checkpoint, settings: InversionSettings) -> None:
        _require_device(settings.device)
        self.settings = settings
        self._checkpoint = checkpoint
        generator = torch.Generator().manual_seed(settings.seed)
        n_neurons = checkpoint.encoder.n_neurons
        self.held_out = choose_held_out(n_neurons, settings, generator)
        self._exchanged = torch.from_numpy(
            exchange_neurons(
                self.held_out.numpy(),
                lambda members: members[_draw_permutation(len(members), generator)],
            )
        )
        self.live = self._create_inversion(settings.seed)
        self.null = self._create_inversion(settings.seed + 1) if settings.null else None
        self.spread, self._sampler = self._create_spread()
        self._notices: list[tuple[str, str]] = []
        self.begin_session()

    def begin_session(self) -> None:
        """Report out-of-range behaviour anew; both movies continue."""
        self._behavior_range = OutOfRangeMonitor()

    def push_activity(self, queued: list[QueuedActivity]) -> None:
        """Move both windows on by the queued frames, oldest first."""
        activity = torch.from_numpy(np.stack([frame.values for frame in queued]))
        behavior = self._scale_behavior(queued)
        self.live.push_activity(activity, behavior)
        if self._sampler is not None:
            self._sampler.push_activity(len(activity))
        if self.null is not None:
            self.null.push_activity(activity[:, self._exchanged], behavior)

    def take_steps(self, inversion: LiveInversion, deadline_s: float) -> int:
        """Take steps until the deadline (monotonic clock) or the limit.

        Takes at least one. In deterministic mode the limit alone counts. Returns the
        number of steps.
        """
        if self.settings.deterministic:
            return self._take_all_steps(inversion)
        started, taken = time.monotonic(), 0
        duration_s = max(_MIN_TIME_S, deadline_s - started)
        while taken < self.settings.max_steps:
            now = time.monotonic()
            if taken and now + (now - started) / taken > deadline_s:
                break
            inversion.step(min(1.0, (now - started) / duration_s))
            inversion.synchronize()
            taken += 1
        return taken

    def update_spread(self) -> None:
        """Take the steps of the posterior sample, and add it to `spread`."""
        if self._sampler is not None and self.spread is not None:
            self._sampler.step(self.settings.spread_steps)
            self.spread.add_hop(*self._sampler.describe_spread())

    def compute_sd(self) -> Array | None:
        """Return the s.d. of pixels, float32 (ages + 1, height, width) in levels.

        First by age, newest frames first; last without any data, from the prior alone.
        None if it is not estimated, or too few hops have passed.
        """
        if self.spread is None or not isinstance(self.live, MapInversion):
            return None
        basis = make_dct_basis(self.live.problem.space)
        prior = basis.pixel_sd(self.live.prior_variance)
        by_age = self.spread.compute_sd(prior)
        return None if by_age is None else np.concatenate([by_age, prior[None]])

    def pop_notices(self) -> list[tuple[str, str]]:
        """Return and clear the notices for the user: an event's name and a sentence."""
        found, self._notices = self._notices, []
        for inversion in (self.live, self.null):
            if inversion is not None:
                found += [("memory", notice) for notice in inversion.notices]
                inversion.notices.clear()
        return found

    def _take_all_steps(self, inversion: LiveInversion) -> int:
        count = self.settings.max_steps
        for taken in range(count):
            inversion.step(taken / count)
        return count

    def _create_inversion(self, seed: int) -> LiveInversion:
        return create_live_inversion(
            LiveInversionInputs(self._checkpoint, self.settings, self.held_out, seed)
        )

    def _create_spread(self) -> tuple[MovieSpread | None, PosteriorSampler | None]:
        ratio, live = self._checkpoint.calibration.error_ratio, self.live
        if ratio is None or not self.settings.spread_steps:
            return None, None
        if not isinstance(live, MapInversion):
            return None, None  # another algorithm: nothing to sample from
        spread = MovieSpread(
            ratio.numpy(), self.settings.hop_frames, self._checkpoint.space
        )
        return spread, PosteriorSampler(live, self.settings.seed)

    def _scale_behavior(self, queued: list[QueuedActivity]) -> Tensor:
        """Return behaviour (h, 4), z-scored; unknown values become the mean, 0."""
        calibration = self._checkpoint.calibration
        rows = np.array([frame.header.behavior for frame in queued], np.float32)
        raw = torch.from_numpy(rows)
        outside = calibration.is_behavior_out_of_range(raw).numpy()
        for sentence in self._behavior_range.add_frames(outside):
            self._notices.append(("behavior", sentence))
        return calibration.standardize_behavior(raw)


def choose_held_out(
    n_neurons: int, settings: InversionSettings, generator: torch.Generator
) -> Tensor:
    """Return bool (n,): the neurons that no inversion of these settings uses.

    generator: seeded with `settings.seed`, and not used before.
    """
    chance = torch.rand(n_neurons, generator=generator)
    return chance < settings.held_out_fraction


def _draw_permutation(n: int, generator: torch.Generator) -> Array:
    order: Array = torch.randperm(n, generator=generator).numpy()
    return order


def _require_device(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "inversion.device = 'cuda', but torch finds no such device here; install a "
            "torch built for CUDA and its driver, or set inversion.device = 'cpu'"
        )
