"""The exchange of neurons that makes the null."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.neuron_exchange import exchange_neurons


@pytest.mark.parametrize("n_held_out", [2, 7, 18])
def test_every_neuron_gets_another_one_of_its_own_group(n_held_out):
    rng = np.random.default_rng(0)
    held_out = rng.permutation(np.arange(20) < n_held_out)
    exchanged = exchange_neurons(held_out, rng.permutation)
    assert sorted(exchanged) == list(range(20))
    assert (exchanged != np.arange(20)).all()
    np.testing.assert_array_equal(held_out[exchanged], held_out)


def test_the_shuffle_determines_the_exchange():
    held_out = np.arange(20) < 5
    first, same, other = (
        exchange_neurons(held_out, np.random.default_rng(seed).permutation)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
