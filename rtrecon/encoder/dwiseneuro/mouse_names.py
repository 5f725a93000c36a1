"""The mice that readouts of DwiseNeuro belong to, by index or by name.

The published networks were trained on the ten mice of Sensorium 2023. The published
files hold neither the names nor the mean behavior of these mice; both are listed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtrecon.encoder.card import CheckpointError


@dataclass(frozen=True)
class Mouse:
    """A mouse whose neurons a readout predicts.

    index: of the readout. name: animal, session and scan of the recording; empty if
    unknown. behavior_mean: over the training movies, in px, cm/s, px and px, in the
    order of `BEHAVIOR`; empty if unknown.
    """

    index: int
    n_neurons: int
    name: str = ""
    behavior_mean: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.index} ({self.name})" if self.name else str(self.index)

    def matches_name(self, wanted: str) -> bool:
        """Whether `wanted` is its index, its animal or the name of its folder."""
        name = wanted.removeprefix("dynamic").partition("-Video")[0]
        animal = self.name.partition("-")[0]
        return name == str(self.index) or (name != "" and name in (self.name, animal))


# In the order of the readouts: the five mice of the competition, then the five released
# before. Means are from the statistics published with the recordings.
SENSORIUM_MICE = (
    Mouse(0, 7863, "29515-10-12", (39.8, 0.302, 155.8, 151.5)),
    Mouse(1, 7908, "29623-4-9", (60.6, 0.733, 145.7, 124.9)),
    Mouse(2, 8202, "29647-19-8", (49.1, 0.359, 177.4, 148.0)),
    Mouse(3, 7939, "29712-5-9", (55.0, 0.761, 134.5, 144.5)),
    Mouse(4, 8122, "29755-2-8", (48.1, 0.418, 119.3, 145.5)),
    Mouse(5, 7440, "29156-11-10", (53.6, 5.55, 119.9, 119.9)),
    Mouse(6, 7928, "29228-2-10", (48.2, 0.298, 152.3, 140.2)),
    Mouse(7, 8285, "29234-6-9", (52.1, 1.47, 155.8, 155.3)),
    Mouse(8, 7671, "29513-3-5", (41.5, 0.472, 180.1, 178.6)),
    Mouse(9, 7495, "29514-2-9", (51.1, 2.24, 151.5, 146.6)),
)


def identify_mice(n_neurons: Sequence[int]) -> list[Mouse]:
    """Return the mouse of each readout, with its name where the counts agree."""
    by_size = {(mouse.index, mouse.n_neurons): mouse for mouse in SENSORIUM_MICE}
    sizes = enumerate(n_neurons)
    return [by_size.get(size, Mouse(*size)) for size in sizes]


def choose_mouse(
    path: Path, offered: Sequence[Mouse], wanted: str | int | None
) -> Mouse:
    """Return the wanted one of a checkpoint's mice; raises `CheckpointError`.

    wanted: see `Mouse.matches_name`; None where there is only one.
    """
    if wanted is None and len(offered) == 1:
        return offered[0]
    for mouse in offered:
        if wanted is not None and mouse.matches_name(str(wanted)):
            return mouse
    problem = f"it has no readout for mouse {wanted}"
    if wanted is None:
        problem = "it has readouts for several mice and none was chosen"
    raise CheckpointError(
        f"checkpoint {path}: {problem}; give one of {', '.join(map(str, offered))}"
    )
