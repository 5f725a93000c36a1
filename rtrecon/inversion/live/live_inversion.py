"""What a live inversion algorithm must do, so that the inverter process can run it.

`MapInversion` is the one that rtrecon comes with. docs/how-to/add-an-inversion.md says
how to add another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint


@dataclass(frozen=True)
class LiveInversionInputs:
    """All that a live inversion is created from.

    held_out: (n,) bool, neurons whose activity the algorithm must ignore; it still has
    to predict them. seed: of every random number that it draws.
    """

    checkpoint: Checkpoint
    settings: InversionSettings
    held_out: Tensor
    seed: int


class LiveInversion(Protocol):
    """Reconstructs a rolling window of movie, W encoder frames, hop by hop.

    The process calls `push_activity` once per hop, then `step` as often as there is
    time for, then `movie`, `predict_activity` and `information_fraction`. Time is the
    first axis, oldest frame first. Tensors are float32 on the CPU, wherever the
    algorithm computes. notices: sentences for the user (the device's memory ran out);
    the process publishes and clears them.
    """

    notices: list[str]

    @property
    def activity(self) -> Tensor:
        """Recorded activity of the window (W, n), NaN where it is missing."""
        ...

    def push_activity(self, activity: Tensor, behavior: Tensor) -> object:
        """Move the window on by h frames.

        activity: (h, n), NaN where it is missing. behavior: (h, 4), z-scored in the
        order of `BEHAVIOR`. The process ignores what is returned.
        """
        ...

    def step(self, progress: float) -> object:
        """Improve the movie once; progress 0..1 is the part of the hop's time used.

        May return before a GPU has finished. The process ignores what is returned. An
        algorithm without iterations computes the movie here at the first call.
        """
        ...

    def synchronize(self) -> None:
        """Wait until all steps so far are finished."""
        ...

    def movie(self) -> Array:
        """Return the window's movie, float32 (W, height, width) of levels 0..255."""
        ...

    def predict_activity(self) -> Tensor:
        """Return the activity (W, n) of all neurons that the movie would cause."""
        ...

    def information_fraction(self) -> Tensor:
        """Return (W,) 0..1: the share of the evidence on each frame that is present.

        0 means that no recorded activity supports the frame.
        """
        ...


LiveInversionFactory = Callable[[LiveInversionInputs], LiveInversion]
