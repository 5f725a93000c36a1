"""Remembers which neuron owned each pixel of a neurite, for some frames."""

from __future__ import annotations

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array

_NEVER = 30_000
PINNED = -1  # misses of a pixel whose owner the user chose


class OwnerMemory:
    """The last owner of each pixel, and how long ago it was.

    max_age: frames after which a pixel is forgotten. reach_px: how far a neurite may
    have moved since.
    """

    def __init__(self, shape: tuple[int, int], max_age: int, reach_px: int = 3) -> None:
        self._max_age, self._reach_px = max_age, reach_px
        self._owners = np.zeros(shape, np.int32)
        self._ages = np.full(shape, _NEVER, np.int16)
        self._misses = np.zeros(shape, np.int16)

    def recall(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """Return the nearest remembered owner of each pixel, or 0, and its misses.

        misses: for how many frames this owner did not reach its body from there.
        """
        owners = np.zeros(len(rows), np.int32)
        misses = np.zeros(len(rows), np.int16)
        _recall_nearest(
            (rows, cols), self._owners, self._misses, self._reach_px, owners, misses
        )
        return owners, misses

    def store(self, rows: Array, cols: Array, owners: Array, misses: Array) -> None:
        """Remember the owners of this frame's pixels; all others get older."""
        self._ages += self._ages < _NEVER
        self._owners[self._ages > self._max_age] = 0
        is_owned = owners > 0
        at = rows[is_owned], cols[is_owned]
        self._owners[at] = owners[is_owned]
        self._misses[at] = misses[is_owned]
        self._ages[at] = 0

    def was_traced(self) -> Array:
        """Return bool (lines, pixels): whether the pixel was a neurite's lately."""
        return self._owners > 0

    def pin(self, rows: Array, cols: Array, owner: int) -> None:
        """Give pixels to an owner for as long as they are traced: the user said so."""
        self._owners[rows, cols], self._ages[rows, cols] = owner, 0
        self._misses[rows, cols] = PINNED

    def move_all(self, shift_px: tuple[int, int]) -> None:
        """Move all by whole pixels (y, x): the picture has jumped."""
        for name, fill in (("_owners", 0), ("_ages", _NEVER), ("_misses", 0)):
            moved = move_image(getattr(self, name), shift_px, fill)
            setattr(self, name, moved)

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"owners": self._owners, "ages": self._ages, "misses": self._misses}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self._owners = state["owners"].astype(np.int32)
        self._ages = state["ages"].astype(np.int16)
        self._misses = state["misses"].astype(np.int16)


def move_image(image: Array, shift_px: tuple[int, int], fill: int) -> Array:
    """Return the image moved by whole pixels (y, x), filled where it left the field."""
    moved = np.full_like(image, fill)
    (y, x), (n_rows, n_cols) = shift_px, image.shape
    if abs(y) < n_rows and abs(x) < n_cols:
        source = image[max(0, -y) : n_rows - max(0, y), max(0, -x) : n_cols - max(0, x)]
        moved[max(0, y) : n_rows - max(0, -y), max(0, x) : n_cols - max(0, -x)] = source
    return moved


@jit_kernel
def _recall_nearest(
    at: tuple[Array, Array],
    stored_owners: Array,
    stored_misses: Array,
    reach_px: int,
    owners: Array,
    misses: Array,
) -> None:
    rows, cols = at
    for k in range(len(rows)):
        nearest = reach_px * reach_px + 1
        for y in range(
            max(0, rows[k] - reach_px),
            min(stored_owners.shape[0], rows[k] + reach_px + 1),
        ):
            for x in range(
                max(0, cols[k] - reach_px),
                min(stored_owners.shape[1], cols[k] + reach_px + 1),
            ):
                if stored_owners[y, x] == 0:
                    continue
                square = (y - rows[k]) ** 2 + (x - cols[k]) ** 2
                if square < nearest:
                    nearest = square
                    owners[k] = stored_owners[y, x]
                    misses[k] = stored_misses[y, x]
