"""Exchange of neurons, which makes the null: activity without the neurons' identity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtrecon.core.types import Array


def exchange_neurons(held_out: Array, shuffle: Callable[[Array], Array]) -> Array:
    """Return for each neuron whose activity it gets: indices (n,), int64.

    held_out: (n,) bool. shuffle: returns the indices that it is given in random order.
    Every neuron gets the activity of another one. Held-out neurons are exchanged among
    themselves, and so are all others, so that the null holds out the same activity.
    """
    exchanged = np.arange(len(held_out))
    for group in (held_out, ~held_out):
        members = shuffle(np.flatnonzero(group))
        exchanged[members] = np.roll(members, 1)
    return exchanged
