"""Draws movies from the posterior of a live inversion, a few steps per hop.

If the data are redrawn with their noise, and the prior's mean is drawn from the prior,
then the most probable movie of this perturbed problem is a sample from the posterior:
exactly in a linear problem, approximately in ours (Bardsley et al. 2014,
"Randomize-then-optimize", SIAM J Sci Comput 36:A1895). The sampler holds the difference
between such a sample and the movie. The difference hardly changes when the window moves
on by a hop, so a few steps from the last one are enough.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.map_inversion import MapInversion

_MIN_RATE = 1e-3  # activity per frame, of a neuron that is silent in the window
_FIRST_RATE = 0.1
_RATES = (1e-3, 1.0)  # smallest, and where the prior alone decides
_EPSILON = 1e-12


class PosteriorSampler:
    """One sample at a time, of the window of a `MapInversion`.

    Call `push_activity` after the inversion's own, and `step` after its steps.
    """

    def __init__(self, inversion: MapInversion, seed: int) -> None:
        self._inversion = inversion
        self._basis = make_dct_basis(inversion.problem.space)
        self._generator = torch.Generator().manual_seed(seed)
        self._objective = inversion.create_objective()
        n_frames, n_neurons = inversion.activity.shape
        self._noise = torch.zeros(n_frames, n_neurons)
        self._prior_noise = self._draw(*inversion.z.shape)
        self._difference = self._prior_noise.clone()
        self._rate = _FIRST_RATE

    def push_activity(self, n_frames: int) -> None:
        """Move the sample on by as many frames as the inversion's window moved on."""
        kept, prior_noise = slice(1 + n_frames, None), self._prior_noise
        new = self._draw(n_frames, prior_noise.shape[1])
        anchor = self._draw(1, prior_noise.shape[1])
        self._prior_noise = torch.cat([anchor, prior_noise[kept], new])
        prior_sd = self._inversion.prior_precision.rsqrt()
        fresh = torch.zeros_like(anchor), new * prior_sd
        self._difference = torch.cat([fresh[0], self._difference[kept], fresh[1]])
        noise = self._draw_activity_noise(n_frames)
        self._noise = torch.cat([self._noise[n_frames:], noise])

    def step(self, n_steps: int) -> None:
        """Move the sample towards the solution of the perturbed problem."""
        inversion = self._inversion
        inversion.fill_objective(self._objective, inversion.activity + self._noise)
        z = inversion.z + self._difference
        last: tuple[Tensor, Tensor] | None = None
        for _ in range(n_steps):
            gradient = self._compute_gradient(z)
            if last is not None:
                self._adapt_rate(z - last[0], gradient - last[1])
            last = z, gradient
            z = z - self._rate * gradient
        self._difference = z - inversion.z

    def _compute_gradient(self, z: Tensor) -> Tensor:
        precision = self._inversion.prior_precision
        _, gradient = self._objective.value_and_gradient(z, precision)
        return gradient - precision.sqrt() * self._prior_noise

    def _adapt_rate(self, moved: Tensor, changed: Tensor) -> None:
        """Follow the curvature along the last step (Barzilai & Borwein 1988).

        Steps of the movie's own optimiser are as large in directions that the data
        decide as in others; there the sample would jump about the solution.
        """
        curvature = float((moved * changed).sum())
        fitting = curvature / float(changed.square().sum().clamp_min(_EPSILON))
        found = fitting if curvature > 0 else self._rate / 2
        found = min(max(found, _RATES[0]), _RATES[1])
        self._rate = min(found, math.sqrt(self._rate * found))

    def sample_coefficients(self) -> Tensor:
        """Return the sampled movie of the window (W, n_coef)."""
        return self._inversion.generate_frames(self._inversion.z + self._difference)

    def describe_spread(self) -> tuple[Array, Array]:
        """Return what `MovieSpread.add_hop` takes.

        First sample minus movie, float32 (W, values), in levels, not clipped to
        0..255; then the fraction of the evidence (W,) that was recorded.
        """
        movie = self._inversion.movie_coefficients()
        difference = self.sample_coefficients() - movie
        levels: Array = self._basis.to_levels(difference).flatten(1).numpy()
        return levels, self._inversion.recorded_fraction().numpy()

    def _draw(self, n_frames: int, n_coef: int) -> Tensor:
        noise = torch.randn(n_frames, n_coef, generator=self._generator)
        return noise.to(self._inversion.z.device)

    def _draw_activity_noise(self, n_frames: int) -> Tensor:
        """Return noise (n_frames, n) as large as the likelihood takes it to be."""
        weight = self._inversion.problem.weight.cpu()
        rate = self._inversion.activity.nanmean(0).nan_to_num().clamp_min(_MIN_RATE)
        sd = torch.where(weight > 0, (rate / weight).sqrt(), 0.0)
        return torch.randn(n_frames, len(sd), generator=self._generator) * sd
