"""Reports neurons that lose much of their neurites within a few frames."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

# A retraction: a neuron is shorter than its median before by this length and share,
# in two frames one after the other.
_MIN_LOSS_UM, _MIN_LOSS_SHARE = 25.0, 0.3
_N_STORED, _N_CONFIRMING = 8, 2


class RetractionMonitor:
    """Remembers the last lengths of each neuron, in um."""

    def __init__(self) -> None:
        self._lengths: dict[int, list[float]] = {}

    def update(self, lengths_um: dict[int, float]) -> list[int]:
        """Take the lengths of a frame by number; return who has retracted just now."""
        for number in [n for n in self._lengths if n not in lengths_um]:
            del self._lengths[number]
        retracted = []
        for number, length_um in lengths_um.items():
            stored = self._lengths.setdefault(number, [])
            stored.append(length_um)
            if _is_retraction(stored):
                retracted.append(number)
                del stored[:-_N_CONFIRMING]  # the shorter length is usual from now on
            del stored[:-_N_STORED]
        return retracted

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        numbers = np.array(list(self._lengths), np.int64)
        lengths = np.full((len(numbers), _N_STORED), np.nan)
        for row, stored in zip(lengths, self._lengths.values(), strict=True):
            row[: len(stored)] = stored
        return {"numbers": numbers, "lengths_um": lengths}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self._lengths = {
            int(number): row[np.isfinite(row)].tolist()
            for number, row in zip(state["numbers"], state["lengths_um"], strict=True)
        }


def _is_retraction(lengths_um: list[float]) -> bool:
    before, after = lengths_um[:-_N_CONFIRMING], lengths_um[-_N_CONFIRMING:]
    if len(before) < 3:
        return False
    usual = float(np.median(before))
    return usual - max(after) > max(_MIN_LOSS_UM, _MIN_LOSS_SHARE * usual)
