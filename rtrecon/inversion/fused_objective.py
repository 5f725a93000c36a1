"""`Objective` for a CPU: the same numbers, more than twice as fast.

Step by step, torch and autograd read and write memory some two hundred times. Here,
kernels compute everything that is local to a neuron or a coefficient, forward and
backward; torch computes only matrix products and logarithms. In this module time is the
last axis of every array: n neurons or C coefficients by the frames of the window,
padded with frames without recorded activity to whole vector registers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.compact import EPSILON, MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.window_prior import WindowPrior
from rtrecon.inversion import kernels
from rtrecon.inversion.objective import InverseProblem

_PAST_FRAMES = MEMORY_FRAMES - 1
_VECTOR_WIDTH = 8  # float32 in a vector register; frames are padded to a multiple


class FusedObjective:
    """Replaces `Objective` for a `CompactEncoder` on a CPU; windows have `n_frames`."""

    def __init__(self, problem: InverseProblem, n_frames: int) -> None:
        self._arrange_constants(problem)
        self._n_frames = n_frames
        width = -(-n_frames // _VECTOR_WIDTH) * _VECTOR_WIDTH
        n = self._encoder.n_neurons
        self._frames = torch.zeros(len(problem.prior.mean), width)
        self._filtered = torch.empty(2 * n, _PAST_FRAMES + width)
        self._channels = torch.zeros(n, 2, width + _PAST_FRAMES).numpy()
        self._drive = torch.empty(n, width)
        self._filtered_gradient = torch.empty(2 * n, width)
        # Where activity was recorded: its weight, and its weight times the activity.
        self._recorded_weight, self._weighted_activity = torch.zeros(2, n, width)
        self._log_gain = torch.zeros(n, width)

    def _arrange_constants(self, problem: InverseProblem) -> None:
        """Copy all frozen parameters into the memory layout in which they are read."""
        encoder = problem.encoder
        assert isinstance(encoder, CompactEncoder)  # the kernels compute no other
        n = encoder.n_neurons
        self._encoder = encoder
        # The two filters of a neuron lie side by side. The forward and the backward
        # product are each fastest with a layout of their own, and so are the taps.
        filters = encoder.spatial_filters.view(2, n, -1).transpose(0, 1)
        self._filters = filters.reshape(2 * n, -1)
        self._filters_transposed = _transpose_contiguous(self._filters)
        taps = encoder.compute_taps().permute(3, 0, 1, 2)
        self._taps = taps.contiguous().numpy()
        self._taps_back = taps.transpose(1, 2).flip(3).contiguous().numpy()
        rectifiers = _transpose_contiguous(encoder.rectifier_weights.square())
        self._rectifier_weights = rectifiers.view(n, 2, 2).numpy()
        self._pool_weights = _transpose_contiguous(encoder.pool_weights)
        self._unpool_weights = _transpose_contiguous(encoder.unpool_weights)
        self._semisaturation = encoder.semisaturation.abs()[:, None]
        self._exponent = encoder.log_exponent.exp()[:, None]
        self._baseline_activity = encoder.baseline_activity()[:, None]
        self._weight = problem.weight[:, None]

    def set_window(
        self, past: Tensor, activity: Tensor, behavior: Tensor, prior: WindowPrior
    ) -> None:
        """Set the window's data and prior; see `Objective.set_window`."""
        activity = _transpose_contiguous(activity)
        self._before = (past[-1] - prior.previous_mean).numpy()
        self._prior = (
            _transpose_contiguous(prior.mean).numpy(),
            prior.ar_coefficient.numpy(),
            _transpose_contiguous(prior.innovation_sd).numpy(),
            prior.frame_error_sd.numpy(),
        )
        self._filtered[:, :_PAST_FRAMES] = self._filters @ past.T
        frames = slice(self._n_frames)
        log_gain = self._encoder.compute_log_gain(behavior[-self._n_frames :])
        self._log_gain[:, frames] = log_gain.T
        weight = self._weight * activity.isfinite()
        self._recorded_weight[:, frames] = weight
        self._weighted_activity[:, frames] = weight * activity.nan_to_num()

    def value_and_gradient(self, z: Tensor, precision: Tensor) -> tuple[float, Tensor]:
        """Return the objective, and its gradient by z (1 + T, C)."""
        self._compute_drive(z)
        misfit, drive_gradient = self._misfit_and_gradient()
        z_gradient = z * precision
        penalty = _dot_product(z, z_gradient)
        self._backpropagate(drive_gradient, z_gradient)
        return misfit + 0.5 * penalty, z_gradient

    def predict_activity(self, z: Tensor) -> Tensor:
        """Return the activity (T, n) that the movie of z would cause."""
        self._compute_drive(z)
        *_, response = self._apply_nonlinearity()
        return (response + self._baseline_activity)[:, : self._n_frames].T

    def _compute_drive(self, z: Tensor) -> None:
        """Fill `_drive` with what the movie of z causes."""
        frames = self._frames.numpy()
        kernels.unroll_frames(z.numpy(), self._before, self._prior, frames)
        torch.mm(self._filters, self._frames, out=self._filtered[:, _PAST_FRAMES:])
        kernels.compute_drive(
            _view_by_filter(self._filtered),
            self._taps,
            self._rectifier_weights,
            self._channels,
            self._drive.numpy(),
        )

    def _apply_nonlinearity(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the drive's divisor, the normalised drive and the response."""
        pooled = self._pool_weights @ self._drive
        divisor = torch.addmm(self._semisaturation, self._unpool_weights, pooled)
        normalized = (self._drive / divisor).add_(EPSILON)
        log_response = torch.addcmul(self._log_gain, self._exponent, normalized.log())
        return divisor, normalized, log_response.exp_()

    def _misfit_and_gradient(self) -> tuple[float, Tensor]:
        """Return the misfit at the current drive, and its gradient by the drive."""
        divisor, normalized, response = self._apply_nonlinearity()
        weight, weighted = self._recorded_weight, self._weighted_activity
        predicted = response + self._baseline_activity
        misfit = _dot_product(weight, predicted)
        misfit -= _dot_product(weighted, predicted.log())
        gradient = torch.addcdiv(weight, weighted, predicted, value=-1)
        gradient.mul_(response).mul_(self._exponent).div_(normalized).div_(divisor)
        by_pool = self._encoder.unpool_weights @ (gradient * normalized.sub_(EPSILON))
        gradient.addmm_(self._encoder.pool_weights, by_pool, alpha=-1)
        return misfit, gradient

    def _backpropagate(self, drive_gradient: Tensor, z_gradient: Tensor) -> None:
        """Add to `z_gradient` the gradient that comes through the drive."""
        kernels.backpropagate_drive(
            drive_gradient.numpy(),
            self._drive.numpy(),
            (self._taps_back, self._rectifier_weights),
            self._channels,
            _view_by_filter(self._filtered_gradient),
        )
        frame_gradient = self._filters_transposed @ self._filtered_gradient
        kernels.backpropagate_frames(
            frame_gradient.numpy(), self._prior, z_gradient.numpy()
        )


def _view_by_filter(seen: Tensor) -> Array:
    """Return (n, 2 filters, frames) of (2 n, frames)."""
    return seen.view(-1, 2, seen.shape[1]).numpy()


def _dot_product(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.view(-1), b.view(-1)).item()


def _transpose_contiguous(tensor: Tensor) -> Tensor:
    """Return the transpose, copied into contiguous memory."""
    return tensor.T.contiguous()
