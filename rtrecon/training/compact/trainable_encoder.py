"""All that training changes: an encoder, and its filters in a form to be fitted."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.spectrum import spectrum
from rtrecon.training.compact.core import TUNING, Core
from rtrecon.training.compact.core_initialization import Match, Mixtures, match
from rtrecon.training.compact.data import Data
from rtrecon.training.compact.gabor_initialization import Guess, screen
from rtrecon.training.compact.patches import Patches
from rtrecon.training.distributed import Place

_FAST, _SLOW = (0.3, 1.0, -0.5, -0.2), (0.0, 0.3, 1.0, -0.6)  # first temporal mixes


class Trainee(nn.Module):
    """An encoder of neurons that look at `centers` (n, 2), y and x in px."""

    def __init__(self, centers: Array, spatial: Patches | Mixtures) -> None:
        super().__init__()
        self.centers = centers
        self.spatial = spatial
        self.model = Compact(spectrum().n_coef, len(centers))
        self.model.set_pool(centers)

    def forward(self, data: Data) -> Tensor:
        """Return expected activity (T - MEMORY + 1, n)."""
        seen = functional.linear(data.coef, self.spatial.filters())
        return self.model.answer(seen, data.behavior[MEMORY - 1 :])

    def encoder(self) -> Compact:
        """Return the encoder as it is now, as a copy that will not change."""
        with torch.no_grad():
            model = copy.deepcopy(self.model)
            model.filters = self.spatial.filters().detach().clone()
        return model.requires_grad_(False)


def blank(centers: Array, core: Core | None, place: Place) -> Trainee:
    """Return one that has learned nothing yet."""
    low = spectrum()
    spatial = Mixtures(low, centers, core) if core else Patches(low, centers)
    return Trainee(centers, spatial).to(place.device)


def begin(data: Data, core: Core | None, place: Place) -> Trainee:
    """Look where the neurons look, and return what training starts from.

    The leader looks, and tells the others.
    """
    begun = _begun(data, core).to(place.device) if place.leads else None
    n_neurons = data.activity.shape[1]
    found = begun.centers if begun else np.zeros((n_neurons, 2))
    centers = torch.from_numpy(found).to(place.device)
    place.spread([centers])
    trainee = begun or blank(centers.cpu().numpy(), core, place)
    place.spread(trainee.state_dict().values())
    return trainee


def _begun(data: Data, core: Core | None) -> Trainee:
    # A mean tells nothing: where activity is not known, it says so.
    activity = torch.where(data.activity.isnan(), data.mean(), data.activity)
    if core is None:
        guess = screen(spectrum(), data.coef, activity)
        patches = Patches(spectrum(), guess.center)
        patches.start(guess, data.coef)
        trainee = Trainee(guess.center, patches)
        _tune_by_guess(trainee.model, guess)
    else:
        found = match(core, data.coef, activity)
        mixtures = Mixtures(spectrum(), found.center, core)
        mixtures.start(found, core)
        trainee = Trainee(found.center, mixtures)
        _tune_alike(trainee.model, found, core)
    _set_level(trainee.model, data.mean())
    return trainee


def _tune_by_guess(model: Compact, guess: Guess) -> None:
    fast, slow = torch.tensor(_FAST)[:, None], torch.tensor(_SLOW)[:, None]
    even, odd = guess.phase[0], guess.phase[1]
    with torch.no_grad():
        model.mix[0, 0] = model.mix[1, 1] = fast
        # Opponent motion: the other filter, later, added to one and taken from two.
        model.mix[0, 1] = slow * guess.direction
        model.mix[1, 0] = -slow * guess.direction
        for row, sign in enumerate((even, -even, odd, -odd)):
            model.halves[row] += 0.5 * (sign > 0.03)


def _tune_alike(model: Compact, found: Match, core: Core) -> None:
    with torch.no_grad():
        for name in TUNING:
            getattr(model, name).copy_(core.tuning[name][..., found.example])


def _set_level(model: Compact, mean: Tensor) -> None:
    with torch.no_grad():
        model.log_scale.copy_(torch.log(mean + 1e-3) + 1.0)
        model.offset.copy_(0.3 * mean)
