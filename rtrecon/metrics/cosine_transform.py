"""The orthonormal discrete cosine transform as a matrix, and its frequencies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtrecon.core.types import Array


@lru_cache(maxsize=16)
def make_cosines(n: int) -> Array:
    """Return float32 (n, n): one cosine per row, lowest frequency first.

    Row k has k / (2 n) cycles per sample. Do not change the array: it is shared.
    """
    k, x = np.mgrid[:n, :n]
    cosines = np.sqrt(2 / n) * np.cos(np.pi * k * (x + 0.5) / n)
    cosines[0] = np.sqrt(1 / n)
    return cosines.astype(np.float32)


def cosine_frequencies(n: int) -> Array:
    """Return the cycles per sample of each row of `make_cosines`, (n,)."""
    return np.arange(n) / (2 * n)
