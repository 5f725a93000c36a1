"""The live inversion: a rolling window of movie, a few warm-started steps per hop.

Every hop the window moves on, new frames start at the prior's own extrapolation, and as
many steps down the `Objective` are taken as time allows; frames that leave the window
are final and become what the encoder saw before it. The prior's `Amplitudes` follow
what is found. Cost per step does not grow with the session.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.encoder.compact import Compact
from rtrecon.inversion.fused_objective import FusedObjective
from rtrecon.inversion.live.prior_strength import Amplitudes
from rtrecon.inversion.objective import Objective, Problem
from rtrecon.protocol.behavior import BEHAVIOR

__all__ = ["LiveInverter", "Problem"]

_DECAYS = (0.8, 0.98)  # of the gradient's first and second moment
_EPSILON = 1e-3
_FIRST_RATE, _LAST_RATE = 0.5, 0.15  # step sizes within a hop, in units of z
_START = 0.02  # s.d. of new z: exactly gray has no slope where energies are even


class LiveInverter:
    """Holds the window and everything that survives from hop to hop.

    Remembers z (1 + W, C), the amplitudes, the optimiser's moments, the frames that the
    encoder needs from before the window, and the window's activity and behaviour.
    Missing activity is NaN and simply does not count. Works on the problem's device,
    hands out on the CPU. notes: sentences on the device's memory, for whoever looks.
    """

    def __init__(self, problem: Problem, window_frames: int, seed: int = 0) -> None:
        self.problem = problem = problem.to(problem.device)
        self.window_frames = window_frames
        self.notes: list[str] = []
        self._generator = torch.Generator().manual_seed(seed)
        self.z = self._fresh(1 + window_frames)
        self._moments = torch.zeros_like(self.z), torch.zeros_like(self.z)
        past_frames, n = problem.encoder.past_frames, problem.encoder.n_neurons
        self._past = problem.prior.mean.repeat(past_frames, 1)
        self._share, self._reach = _evidence(problem)
        self._amplitudes = Amplitudes(problem)
        self._objective = self._own_objective()
        self._take(
            torch.full((window_frames, n), torch.nan),
            torch.zeros(past_frames + window_frames, len(BEHAVIOR)),
        )

    @property
    def behavior(self) -> Tensor:
        """The window's behaviour (W, 4)."""
        return self._behavior[-self.window_frames :]

    def advance(self, activity: Tensor, behavior: Tensor) -> Tensor:
        """Take in h new frames of activity (h, n) and behaviour (h, 4).

        Returns the h frames (h, n_coef) that left the window: they are final.
        """
        self.learn()
        hop = len(activity)
        left = self._frames()[:hop]
        self._past = torch.cat([self._past, left])[len(left) :]
        anchor, fresh = torch.zeros_like(self.z[:1]), self._fresh(hop)
        self.z = torch.cat([anchor, self.z[1 + hop :], fresh])
        first, second = self._moments
        still, alike = torch.zeros_like(fresh), second[-1:].expand_as(fresh)
        self._moments = (
            torch.cat([anchor, first[1 + hop :], still]),
            torch.cat([second[:1], second[1 + hop :], alike]),
        )
        self._take(
            torch.cat([self.activity[hop:], activity]),
            torch.cat([self._behavior[hop:], behavior]),
        )
        return left.cpu()

    def step(self, progress: float) -> float | Tensor:
        """Take one step; `progress` 0..1 through the hop sets its size.

        Returns the objective before the step; to look at it is to wait for the device.
        """
        precision = self._amplitudes.precision
        objective, gradient = self._objective.slope(self.z, precision)
        first, second = self._moments
        first.lerp_(gradient, 1 - _DECAYS[0])
        second.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
        rate = _FIRST_RATE * (_LAST_RATE / _FIRST_RATE) ** progress
        self.z.addcdiv_(first, second.sqrt().add_(_EPSILON), value=-rate)
        return objective

    def learn(self) -> None:
        """Let the prior's amplitudes follow what the window's movie has come to be."""
        self._amplitudes.learn(self.z, self.information_fraction())

    def settle(self) -> None:
        """Wait until all steps are done: a GPU is only told of them, which is quick."""
        if self.problem.device.type == "cuda":
            torch.cuda.synchronize(self.problem.device)

    def frames(self) -> Tensor:
        """Return the window's movie (W, n_coef), newest last."""
        return self._frames().cpu()

    def predict(self) -> Tensor:
        """Return the activity (W, n) that the window's movie would cause."""
        return self._objective.predict(self.z).cpu()

    def information_fraction(self) -> Tensor:
        """Return (W,) 0..1: how much of what activity can tell of each frame is there.

        A frame is answered in the frames of activity from its own on, as far as the
        encoder reaches. Where it is 0, the movie is the prior's alone.
        """
        known = torch.isfinite(self.activity).float() @ self._share
        to_come = torch.zeros(len(self._reach) - 1)
        answers = torch.cat([known, to_come]).unfold(0, len(self._reach), 1)
        return (answers @ self._reach).clamp(0, 1)

    def _own_objective(self) -> Objective | FusedObjective:
        compact = isinstance(self.problem.encoder, Compact)
        if compact and self.problem.device.type == "cpu":
            return FusedObjective(self.problem, self.window_frames)
        return Objective(self.problem, self.notes.append)

    def _frames(self) -> Tensor:
        return self.problem.prior.unroll(self.z, self._past[-1])

    def _take(self, activity: Tensor, behavior: Tensor) -> None:
        self.activity, self._behavior = activity, behavior
        device = self.problem.device
        self._objective.take(self._past, activity.to(device), behavior.to(device))

    def _fresh(self, n_frames: int) -> Tensor:
        """Return innovations (n_frames, C) that hardly move anything."""
        shape = n_frames, len(self.problem.prior.mean)
        noise = torch.randn(shape, generator=self._generator)
        return noise.mul_(_START).to(self.problem.device)


def _evidence(problem: Problem) -> tuple[Tensor, Tensor]:
    """Return each neuron's share of all evidence (n,), and each delay's."""
    weight = problem.weight.cpu()
    share = weight / weight.sum().clamp_min(_EPSILON)
    with torch.no_grad():
        by_delay = problem.encoder.reach().cpu() @ share
    return share, by_delay / by_delay.sum().clamp_min(_EPSILON)
