"""First filters of an encoder of another sense lie where the neurons' fields lie."""

from __future__ import annotations

import numpy as np
import torch

from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.training.compact.receptive_field_match import (
    match_receptive_fields,
    set_tuning_from_fields,
)

BANDS, LAG = (4, 11, 19), 3


def match_known_neurons():
    """Neurons that each follow one band, three frames later."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (3000, *SOUND.shape)).astype(np.uint8)
    basis = make_dct_basis(SOUND)
    coef = basis.from_pixels(levels)
    activity = np.zeros((3000, len(BANDS)), np.float32)
    activity[LAG:] = levels[:-LAG, BANDS, 0] / 100
    return basis, coef, match_receptive_fields(basis, coef, torch.from_numpy(activity))


def test_centers_filters_and_courses_are_those_of_the_neurons():
    basis, coef, match = match_known_neurons()
    np.testing.assert_allclose(match.center[:, 0], np.add(BANDS, 0.5), atol=1.0)
    frames = (match.filters[0] @ basis.vectors).abs()
    assert frames.argmax(1).tolist() == list(BANDS)
    outputs = coef @ match.filters[0].T
    np.testing.assert_allclose(outputs.std(0), 1, rtol=1e-3)
    model = CompactEncoder(basis.n_coef, len(BANDS))
    set_tuning_from_fields(model, match)
    taps = model.compute_taps()[0, 0].abs()  # (MEMORY_FRAMES, n), oldest first
    strongest = MEMORY_FRAMES - 1 - taps.argmax(0)
    assert (strongest - LAG).abs().max() <= 1
