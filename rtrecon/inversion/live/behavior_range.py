"""Behaviour that no training saw: a camera that was moved, values in other units.

The encoder takes what lies far out as less than it is, so nothing breaks; but it does
not know what it is told, and somebody should.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR

WINDOW_FRAMES = 900  # half a minute of a 30 Hz encoder: a mouse may run for a while
_MOST, _AGAIN = 0.5, 0.1  # share of them: said above the one, again after the other


class Unlike:
    """Follows which behaviour keeps lying beyond what the encoder was trained on."""

    def __init__(self) -> None:
        self._outside = np.zeros((WINDOW_FRAMES, len(BEHAVIOR)), bool)
        self._count = 0
        self._told = np.zeros(len(BEHAVIOR), bool)

    def sentences(self, outside: Array) -> list[str]:
        """Take in new frames, bool (h, 4) in the order of `BEHAVIOR`; say what is new.

        outside: too far from its mean in training; not where it is unknown.
        """
        places = (self._count + np.arange(len(outside))) % WINDOW_FRAMES
        self._outside[places] = outside
        self._count += len(outside)
        share = self._outside.mean(0)
        new = (share > _MOST) & ~self._told
        self._told = (self._told | new) & (share > _AGAIN)
        return [_sentence(BEHAVIOR[i]) for i in np.flatnonzero(new)]


def _sentence(name: str) -> str:
    return (
        f"{name.replace('_', ' ')} is unlike all that the encoder was trained on, most "
        "of the time; was a camera moved, or is it in other units?"
    )
