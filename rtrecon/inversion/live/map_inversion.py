"""Live inversion by maximum a posteriori: a rolling window, a few steps per hop.

At every hop the window moves on and new frames start at the prior's own extrapolation.
Then the `Objective` is minimised by as many steps as there is time for; they start from
the movie so far. Frames that leave the window are final and become the past that the
encoder needs. `PriorPrecision` adapts the prior to how strong the stimulus is. The cost
per step does not grow with the session. See docs/algorithms/inversion.md.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.window_prior import WindowPrior
from rtrecon.inversion.decoded_prior import DecodedPrior
from rtrecon.inversion.fused_objective import FusedObjective
from rtrecon.inversion.live.live_inversion import LiveInversionInputs
from rtrecon.inversion.live.prior_precision import PriorPrecision
from rtrecon.inversion.objective import InverseProblem, Objective
from rtrecon.protocol.behavior import BEHAVIOR

_DECAYS = (0.8, 0.98)  # of the gradient's first and second moment
_EPSILON = 1e-3
_STEP_SIZES = (0.5, 0.15)  # the first and the last within a hop, in units of z
_FEW_STEP_SIZES = (0.3, 0.07)  # of a convolutional encoder, with few steps per hop
# s.d. of new z: where complex cells have no drive, the gradient is zero.
_INITIAL_SD = 0.02


class MapInversion:
    """The most probable movie of a window of W frames, improved step by step.

    Holds the innovations z (1 + W, C), the prior's precision, the optimiser's moments,
    the frames that the encoder needs from before the window, and the window's activity
    and behaviour. Missing activity is NaN and does not count. Computes on the problem's
    device and returns tensors on the CPU. notices: sentences about the device's memory,
    for the process that runs the inversion to show and clear.
    """

    def __init__(
        self, problem: InverseProblem, window_frames: int, seed: int = 0
    ) -> None:
        self.problem = problem = problem.to(problem.device)
        self.window_frames = window_frames
        self._basis = make_dct_basis(problem.space)
        self.notices: list[str] = []
        self._generator = torch.Generator().manual_seed(seed)
        self.z = self._draw_innovations(1 + window_frames)
        self._moments = torch.zeros_like(self.z), torch.zeros_like(self.z)
        past_frames, n = problem.encoder.past_frames, problem.encoder.n_neurons
        self._past = problem.prior.mean.repeat(past_frames, 1)
        self._neuron_share, self._lag_share = _evidence_shares(problem)
        self._prior_precision = PriorPrecision(problem)
        is_convolutional = isinstance(problem.encoder, ConvolutionalEncoder)
        self._step_sizes = _FEW_STEP_SIZES if is_convolutional else _STEP_SIZES
        self._objective = self.create_objective()
        self._decoded_prior = _create_decoded_prior(problem, window_frames)
        self._set_window(
            torch.full((window_frames, n), torch.nan),
            torch.zeros(past_frames + window_frames, len(BEHAVIOR)),
        )

    @classmethod
    def from_inputs(cls, inputs: LiveInversionInputs) -> MapInversion:
        """Create the live inversion; held-out neurons get the weight 0."""
        problem = InverseProblem.from_checkpoint(inputs.checkpoint, inputs.settings)
        weight = problem.weight * ~inputs.held_out.to(problem.device)
        problem = replace(problem, weight=weight)
        return cls(problem, inputs.settings.window_frames, inputs.seed)

    @property
    def behavior(self) -> Tensor:
        """The window's behaviour (W, 4), z-scored."""
        return self._behavior[-self.window_frames :]

    @property
    def prior_mean(self) -> Tensor:
        """The mean of the window's prior (W, n_coef): the decoder's estimate."""
        return self._prior.mean.cpu()

    @property
    def prior_precision(self) -> Tensor:
        """Factor on the prior's precision of each coefficient (n_coef,)."""
        return self._prior_precision.precision

    @property
    def prior_variance(self) -> Tensor:
        """Variance of the newest frame's coefficients (n_coef,) before the data."""
        prior = self._prior
        innovation = prior.innovation_sd[-1] ** 2 / self.prior_precision
        return (innovation / (1 - prior.ar_coefficient**2)).cpu()

    def push_activity(self, activity: Tensor, behavior: Tensor) -> Tensor:
        """Move the window on by h frames of activity (h, n) and behaviour (h, 4).

        Returns the h frames (h, n_coef) that left the window: they are final.
        """
        self.update_prior()
        hop = len(activity)
        final = self._unroll_movie()[:hop]
        self._past = torch.cat([self._past, final])[len(final) :]
        anchor, new = torch.zeros_like(self.z[:1]), self._draw_innovations(hop)
        self.z = torch.cat([anchor, self.z[1 + hop :], new])
        first, second = self._moments
        new_first, new_second = torch.zeros_like(new), second[-1:].expand_as(new)
        self._moments = (
            torch.cat([anchor, first[1 + hop :], new_first]),
            torch.cat([second[:1], second[1 + hop :], new_second]),
        )
        if self._decoded_prior is not None:
            self._decoded_prior.push_activity(activity)
        self._set_window(
            torch.cat([self.activity[hop:], activity]),
            torch.cat([self._behavior[hop:], behavior]),
        )
        return final.cpu()

    def step(self, progress: float) -> float | Tensor:
        """Take one step; progress 0..1 through the hop sets the step size.

        Returns the objective before the step. On a GPU, reading it waits for the
        device.
        """
        precision = self._prior_precision.precision
        objective, gradient = self._objective.value_and_gradient(self.z, precision)
        first, second = self._moments
        first.lerp_(gradient, 1 - _DECAYS[0])
        second.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
        largest, smallest = self._step_sizes
        step_size = largest * (smallest / largest) ** progress
        self.z.addcdiv_(first, second.sqrt().add_(_EPSILON), value=-step_size)
        return objective

    def update_prior(self) -> None:
        """Adapt the prior's precision to the movie that the window now holds."""
        self._prior_precision.update(self.z, self.information_fraction())

    def synchronize(self) -> None:
        """Wait until all steps are finished; a GPU runs them asynchronously."""
        if self.problem.device.type == "cuda":
            torch.cuda.synchronize(self.problem.device)

    def movie(self) -> Array:
        """Return the window's movie, float32 (W, height, width) of levels 0..255."""
        return self._basis.to_pixels(self.movie_coefficients())

    def movie_coefficients(self) -> Tensor:
        """Return the window's movie (W, n_coef), newest frame last."""
        return self.generate_frames(self.z)

    def predict_activity(self) -> Tensor:
        """Return the activity (W, n) that the window's movie would cause."""
        return self._objective.predict_activity(self.z).cpu()

    def information_fraction(self) -> Tensor:
        """Return (W,) 0..1: the share of the evidence on each frame that is present.

        Neurons respond to a frame in its own and in later frames of activity, as far as
        the encoder's memory reaches. Where the share is 0, the movie is the prior's.
        """
        present = torch.isfinite(self.activity).float() @ self._neuron_share
        return self._sum_evidence(present)

    def recorded_fraction(self) -> Tensor:
        """Return (W,) 0..1: `information_fraction` over what it is without any loss.

        1 also for the newest frames, unless activity was lost.
        """
        whole = self._sum_evidence(torch.ones(self.window_frames))
        fraction = (self.information_fraction() / whole.clamp_min(_EPSILON)).clamp(0, 1)
        return torch.where(whole > _EPSILON, fraction, 1.0)

    def _sum_evidence(self, present: Tensor) -> Tensor:
        """Return the evidence (W,) on each frame; present (W,): share of neurons."""
        future = torch.zeros(len(self._lag_share) - 1)
        responses = torch.cat([present, future]).unfold(0, len(self._lag_share), 1)
        return (responses @ self._lag_share).clamp(0, 1)

    def create_objective(self) -> Objective | FusedObjective:
        """Return an objective of this problem, without data."""
        is_compact = isinstance(self.problem.encoder, CompactEncoder)
        if is_compact and self.problem.device.type == "cpu":
            return FusedObjective(self.problem, self.window_frames)
        return Objective(self.problem, self.notices.append)

    def fill_objective(
        self, objective: Objective | FusedObjective, activity: Tensor
    ) -> None:
        """Give an objective the window as it is now, but with this activity (W, n)."""
        device = self.problem.device
        objective.set_window(
            self._past, activity.to(device), self._behavior.to(device), self._prior
        )

    def generate_frames(self, z: Tensor) -> Tensor:
        """Return the window's movie (W, n_coef) of other innovations z (1 + W, C)."""
        return self._prior.generate_frames(z, self._past[-1]).cpu()

    def _unroll_movie(self) -> Tensor:
        return self._prior.generate_frames(self.z, self._past[-1])

    def _set_window(self, activity: Tensor, behavior: Tensor) -> None:
        self.activity, self._behavior = activity, behavior
        self._prior = self._compute_prior().to(self.problem.device)
        self.fill_objective(self._objective, activity)

    def _compute_prior(self) -> WindowPrior:
        if self._decoded_prior is None:
            return self.problem.prior.for_window(self.window_frames)
        return self._decoded_prior.window_prior()

    def _draw_innovations(self, n_frames: int) -> Tensor:
        """Return innovations (n_frames, C) so small that they hardly move the movie."""
        shape = n_frames, len(self.problem.prior.mean)
        noise = torch.randn(shape, generator=self._generator)
        return noise.mul_(_INITIAL_SD).to(self.problem.device)


def _create_decoded_prior(
    problem: InverseProblem, window_frames: int
) -> DecodedPrior | None:
    """Return the decoder's prior without neurons of weight 0, or None."""
    if problem.decoder is None:
        return None
    used = problem.weight.cpu() > 0
    return DecodedPrior(problem.decoder, problem.prior, used, window_frames)


def _evidence_shares(problem: InverseProblem) -> tuple[Tensor, Tensor]:
    """Return each neuron's share of all evidence (n,), and each lag's (lags,)."""
    weight = problem.weight.cpu()
    by_neuron = weight / weight.sum().clamp_min(_EPSILON)
    with torch.no_grad():
        by_lag = problem.encoder.lag_weights().cpu() @ by_neuron
    return by_neuron, by_lag / by_lag.sum().clamp_min(_EPSILON)
