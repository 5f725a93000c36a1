"""Where does each neuron look, and like which known one? A core's examples answer.

Each example is laid all over the screen. The one whose answer correlates best with a
neuron's activity is where the training of that neuron starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.spectrum import SHAPE, Spectrum, spectrum
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.core import Core, laid

_STEP_PX = 3.0  # between places where an example is tried


@dataclass(frozen=True)
class Match:
    """Per neuron: center (n, 2) px, and example (n,), the place of the best one."""

    center: Array
    example: Tensor


class Mixtures(nn.Module):
    """Two filters for each of n neurons, as weights (2, n, K) on a core's bank."""

    laid: Tensor
    usual: Tensor

    def __init__(self, low: Spectrum, centers: Array, core: Core) -> None:
        super().__init__()
        each = [laid(core.bank, center) @ low.basis.T for center in centers]
        self.register_buffer("laid", torch.stack(each), persistent=False)
        self.register_buffer("usual", core.usual, persistent=False)
        self.weights = nn.Parameter(torch.zeros(2, len(centers), len(core.bank)))

    def start(self, match: Match, core: Core) -> None:
        """Start at the filters of the examples that were found."""
        pairs = core.pairs[:, match.example]
        with torch.no_grad():
            self.weights.copy_(torch.einsum("pnyx,kyx->pnk", pairs, core.bank))

    def filters(self) -> Tensor:
        """Return (2 n, C)."""
        return torch.einsum("pnk,nkc->pnc", self.weights, self.laid).flatten(0, 1)

    def energy(self) -> Tensor:
        """Return the penalty: energy, dearer along what known neurons seldom have."""
        return (self.weights / self.usual).square().sum()


def match(core: Core, coef: Tensor, activity: Tensor) -> Match:
    """Look for each neuron's best example; coef (T, C), activity (T, n) of one time.

    Takes about six seconds for each minute of movie and 100 neurons.
    """
    recorded = _standard(activity[MEMORY - 1 :])
    best = torch.full((activity.shape[1],), -torch.inf)
    example = torch.zeros(len(best), dtype=torch.int64)
    center = np.zeros((len(best), 2))
    for place in _places():
        answer = _standard(_answers(core, place, coef))
        r, which = (answer.T @ recorded / len(recorded)).max(0)
        better = r > best
        best[better], example[better] = r[better], which[better]
        center[better.numpy()] = place
    return Match(center, example)


def _answers(core: Core, place: Array, coef: Tensor) -> Tensor:
    """Return (T - MEMORY + 1, m): the examples' activity, had they looked there.

    Of the others around them nothing is known, nor of behaviour.
    """
    low, n_examples = spectrum(), core.pairs.shape[1]
    model = Compact(low.n_coef, n_examples).requires_grad_(False)
    model.load_state_dict(core.tuning, strict=False)
    model.filters = torch.cat([laid(pair, place) for pair in core.pairs]) @ low.basis.T
    n_frames = len(coef) - MEMORY + 1
    return model.answer(model.look(coef), torch.zeros(n_frames, len(BEHAVIOR)))


def _places() -> Array:
    y, x = (np.arange(_STEP_PX / 2, size, _STEP_PX) for size in SHAPE)
    return np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)


def _standard(activity: Tensor) -> Tensor:
    return (activity - activity.mean(0)) / (activity.std(0) + 1e-9)
