"""A compact encoder in training: its filters in a form that is fitted."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.core.types import Array
from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.training.compact.core import TUNING_NAMES, EncoderCore
from rtrecon.training.compact.core_initialization import (
    CoreFilters,
    CoreMatch,
    init_from_core,
)
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.compact.gabor_initialization import GaborMatch, init_from_gabors
from rtrecon.training.compact.patches import PatchFilters
from rtrecon.training.compact.receptive_field_match import (
    FreeFilters,
    match_receptive_fields,
    set_tuning_from_fields,
)
from rtrecon.training.distributed import DistributedContext

_FAST, _SLOW = (0.3, 1.0, -0.5, -0.2), (0.0, 0.3, 1.0, -0.6)  # first temporal mixes


@dataclass(frozen=True)
class EncoderWeights:
    """All that a `TrainableEncoder` is made from: centers (n, 2), tensors by name."""

    centers: Tensor
    tensors: dict[str, Tensor]


class TrainableEncoder(nn.Module):
    """An encoder in training; centers (n, 2): of receptive fields on the two axes."""

    def __init__(
        self,
        centers: Array,
        filter_parameters: PatchFilters | CoreFilters | FreeFilters,
        space: StimulusSpace = VIDEO,
    ) -> None:
        super().__init__()
        self.centers = centers
        self.filter_parameters = filter_parameters
        self.model = CompactEncoder(make_dct_basis(space).n_coef, len(centers))
        self.model.set_normalization_pool(centers, space)

    def forward(self, data: EncoderData) -> Tensor:
        """Return expected activity (T - MEMORY_FRAMES + 1, n)."""
        filters = self.filter_parameters.compute_filters()
        filtered = functional.linear(data.coef, filters)
        behavior = data.behavior[MEMORY_FRAMES - 1 :]
        return self.model.predict_from_filtered(filtered, behavior)

    def export_encoder(self) -> CompactEncoder:
        """Return a frozen copy of the encoder in its present state."""
        with torch.no_grad():
            model = copy.deepcopy(self.model)
            filters = self.filter_parameters.compute_filters()
            model.spatial_filters = filters.detach().clone()
        return model.requires_grad_(False)


def make_uninitialized(
    centers: Array,
    core: EncoderCore | None,
    context: DistributedContext,
    space: StimulusSpace = VIDEO,
) -> TrainableEncoder:
    """Return an encoder whose weights are not set yet, on the context's device."""
    basis = make_dct_basis(space)
    filters: PatchFilters | CoreFilters | FreeFilters
    if not space.is_picture:
        filters = FreeFilters(len(centers), basis.n_coef)
    elif core:
        filters = CoreFilters(basis, centers, core)
    else:
        filters = PatchFilters(basis, centers)
    return TrainableEncoder(centers, filters, space).to(context.device)


def initialize_encoder(
    data: EncoderData,
    core: EncoderCore | None,
    context: DistributedContext,
    space: StimulusSpace = VIDEO,
) -> TrainableEncoder:
    """Find receptive fields and return the encoder that training starts from.

    Rank 0 does so and broadcasts the result to the other processes.
    """
    initialized = (
        _initialize_from_data(data, core, space).to(context.device)
        if context.is_main
        else None
    )
    n_neurons = data.activity.shape[1]
    initial_centers = initialized.centers if initialized else np.zeros((n_neurons, 2))
    centers = torch.from_numpy(initial_centers).to(context.device)
    context.broadcast([centers])
    encoder = initialized or make_uninitialized(
        centers.cpu().numpy(), core, context, space
    )
    context.broadcast(encoder.state_dict().values())
    return encoder


def _initialize_from_data(
    data: EncoderData, core: EncoderCore | None, space: StimulusSpace
) -> TrainableEncoder:
    # Unknown activity is replaced by its mean, which correlates with nothing.
    activity = torch.where(data.activity.isnan(), data.mean_activity(), data.activity)
    if not space.is_picture:
        match = match_receptive_fields(make_dct_basis(space), data.coef, activity)
        free = FreeFilters(len(match.center), data.coef.shape[1])
        free.initialize(match)
        encoder = TrainableEncoder(match.center, free, space)
        set_tuning_from_fields(encoder.model, match)
    elif core is None:
        basis = make_dct_basis(space)
        gabor_match = init_from_gabors(basis, data.coef, activity)
        patches = PatchFilters(basis, gabor_match.center)
        patches.initialize(gabor_match, data.coef)
        encoder = TrainableEncoder(gabor_match.center, patches, space)
        _set_tuning_from_gabors(encoder.model, gabor_match)
    else:
        core_match = init_from_core(core, data.coef, activity)
        mixtures = CoreFilters(make_dct_basis(), core_match.center, core)
        mixtures.initialize(core_match, core)
        encoder = TrainableEncoder(core_match.center, mixtures)
        _set_tuning_from_core(encoder.model, core_match, core)
    _set_activity_level(encoder.model, data.mean_activity())
    return encoder


def _set_tuning_from_gabors(model: CompactEncoder, match: GaborMatch) -> None:
    fast, slow = torch.tensor(_FAST)[:, None], torch.tensor(_SLOW)[:, None]
    even, odd = match.phase[0], match.phase[1]
    with torch.no_grad():
        model.temporal_weights[0, 0] = model.temporal_weights[1, 1] = fast
        # Opponent motion: channel 1 adds the other filter, delayed; channel 2
        # subtracts it.
        model.temporal_weights[0, 1] = slow * match.direction
        model.temporal_weights[1, 0] = -slow * match.direction
        for row, sign in enumerate((even, -even, odd, -odd)):
            model.rectifier_weights[row] += 0.5 * (sign > 0.03)


def _set_tuning_from_core(
    model: CompactEncoder, match: CoreMatch, core: EncoderCore
) -> None:
    with torch.no_grad():
        for name in TUNING_NAMES:
            getattr(model, name).copy_(core.example_tuning[name][..., match.example])


def _set_activity_level(model: CompactEncoder, mean: Tensor) -> None:
    with torch.no_grad():
        model.log_scale.copy_(torch.log(mean + 1e-3) + 1.0)
        model.offset.copy_(0.3 * mean)
