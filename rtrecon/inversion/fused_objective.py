"""`Objective` for a processor: the same numbers, more than twice as fast.

Op by op, torch and autograd walk through memory some two hundred times per step. Here
what is local to a neuron or a coefficient is done by kernels, forward and back; only
products of matrices and vectorised logarithms are left to torch. Inside, time is the
last axis of every array: n neurons or C coefficients by the window's frames, which are
filled up with frames that nothing was recorded in to whole vector registers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.compact import FLOOR, MEMORY, Compact
from rtrecon.inversion import kernels
from rtrecon.inversion.objective import Problem

_PAST = MEMORY - 1
_LANES = 8  # of a vector register; a remainder of frames would go one by one


class FusedObjective:
    """Stands in for `Objective` where windows always have `n_frames` frames."""

    def __init__(self, problem: Problem, n_frames: int) -> None:
        self._arrange(problem)
        self._n_frames = n_frames
        width = -(-n_frames // _LANES) * _LANES
        n = self._encoder.n_neurons
        self._frames = torch.zeros(len(problem.prior.mean), width)
        self._seen = torch.empty(2 * n, _PAST + width)
        self._channels = torch.zeros(n, 2, width + _PAST).numpy()
        self._drive = torch.empty(n, width)
        self._by_seen = torch.empty(2 * n, width)
        self._worth, self._counted, self._log_gain = torch.zeros(3, n, width)

    def _arrange(self, problem: Problem) -> None:
        """Lay everything that is frozen out as it will be read."""
        encoder, prior = problem.encoder, problem.prior
        assert isinstance(encoder, Compact)  # the kernels know no other
        n = encoder.n_neurons
        self._encoder = encoder
        parts = prior.mean, prior.rho, prior.q, prior.doubt
        self._prior = tuple(part.numpy() for part in parts)
        # A neuron's two filters side by side; each way through them is fastest along
        # its own layout, and so are the taps.
        filters = encoder.filters.view(2, n, -1).transpose(0, 1).reshape(2 * n, -1)
        self._filters, self._across = filters, _turned(filters)
        taps = encoder.taps().permute(3, 0, 1, 2)
        self._taps = taps.contiguous().numpy()
        self._taps_back = taps.transpose(1, 2).flip(3).contiguous().numpy()
        self._halves = _turned(encoder.halves.square()).view(n, 2, 2).numpy()
        self._gather, self._spread = _turned(encoder.gather), _turned(encoder.spread)
        self._rest = encoder.rest.abs()[:, None]
        self._power = encoder.log_power.exp()[:, None]
        self._undriven = encoder.undriven()[:, None]
        self._weight = problem.weight[:, None]

    def take(self, past: Tensor, activity: Tensor, behavior: Tensor) -> None:
        """Set the window; see `Objective.take`."""
        # worth (n, T) is the weight of what was recorded, counted that times activity.
        recorded = _turned(activity)
        self._before = past[-1].numpy()
        self._seen[:, :_PAST] = self._filters @ past.T
        own = slice(self._n_frames)
        self._log_gain[:, own] = self._encoder.log_gain(behavior[-self._n_frames :]).T
        self._worth[:, own] = self._weight * recorded.isfinite()
        self._counted[:, own] = self._worth[:, own] * recorded.nan_to_num()

    def slope(self, z: Tensor, precision: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its derivative by z (1 + T, C)."""
        self._look(z)
        misfit, by_drive = self._misfit()
        by_z = z * precision
        unlikely = _dot(z, by_z)
        self._pull_back(by_drive, by_z)
        return misfit + 0.5 * unlikely, by_z

    def predict(self, z: Tensor) -> Tensor:
        """Return the activity (T, n) that the movie of z would cause."""
        self._look(z)
        *_, tuned = self._tune()
        return (tuned + self._undriven)[:, : self._n_frames].T

    def _look(self, z: Tensor) -> None:
        """Find the drive that the movie of z causes."""
        kernels.unroll(z.numpy(), self._before, self._prior, self._frames.numpy())
        torch.mm(self._filters, self._frames, out=self._seen[:, _PAST:])
        seen, drive = _by_filter(self._seen), self._drive.numpy()
        kernels.drive(seen, self._taps, self._halves, self._channels, drive)

    def _tune(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the drive is divided by, its share of that, and the outcome."""
        around = torch.addmm(self._rest, self._spread, self._gather @ self._drive)
        share = (self._drive / around).add_(FLOOR)
        log_tuned = torch.addcmul(self._log_gain, self._power, share.log())
        return around, share, log_tuned.exp_()

    def _misfit(self) -> tuple[float, Tensor]:
        """Return the misfit of the drive that was found, and its derivative by it."""
        around, share, tuned = self._tune()
        predicted = tuned + self._undriven
        misfit = _dot(self._worth, predicted) - _dot(self._counted, predicted.log())
        by_tuned = torch.addcdiv(self._worth, self._counted, predicted, value=-1)
        by_share = by_tuned.mul_(tuned).mul_(self._power).div_(share)
        by_drive = by_share.div_(around)
        by_pool = self._encoder.spread @ (by_drive * share.sub_(FLOOR))
        return misfit, by_drive.addmm_(self._encoder.gather, by_pool, alpha=-1)

    def _pull_back(self, by_drive: Tensor, by_z: Tensor) -> None:
        """Add to by_z what a derivative by drive means for z."""
        kernels.pull_drive(
            by_drive.numpy(),
            self._drive.numpy(),
            (self._taps_back, self._halves),
            self._channels,
            _by_filter(self._by_seen),
        )
        by_frame = self._across @ self._by_seen
        kernels.pull_frames(by_frame.numpy(), self._prior, by_z.numpy())


def _by_filter(seen: Tensor) -> Array:
    """Return (n, 2 filters, frames) of (2 n, frames)."""
    return seen.view(-1, 2, seen.shape[1]).numpy()


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.view(-1), b.view(-1)).item()


def _turned(tensor: Tensor) -> Tensor:
    """Return the transpose, laid out anew."""
    return tensor.T.contiguous()
