"""Which neurons: masks from a file, or from the encoder; if both, they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.config import RoiSettings, Settings, SettingsError
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import (
    LIVE_UNITS,
    RATE_UNITS,
    Card,
    find,
    read_card,
    require_same_neurons,
)
from rtrecon.protocol.messages import Start
from rtrecon.rois.readers.any_file import ACCEPTED, load_rois
from rtrecon.rois.roi_set import RoiSet, on_a_line


@dataclass(frozen=True)
class Field:
    """Neurons and, for each plane, the image that they were drawn on, if it is known.

    images: (lines, pixels) float32 each, of another day perhaps.
    """

    rois: RoiSet
    images: tuple[Array | None, ...]

    def places(self, plane: int) -> Array:
        """Return which of the neurons lie in a plane."""
        return np.flatnonzero(self.rois.planes == plane)


@dataclass(frozen=True)
class Neurons:
    """The encoder's card, if there is one, and the masks' file, if there is one."""

    card: Card | None
    path: str | None
    settings: RoiSettings

    @property
    def are_units(self) -> bool:
        """Whether rates of units are to come, and no images."""
        return self.card.units != LIVE_UNITS if self.card else self.path is None

    @property
    def shape(self) -> tuple[int, int] | None:
        """(lines, pixels) of the encoder's field; None where there is none."""
        return self.card.rois.shape if self.card and not self.are_units else None

    def of(self, start: Start) -> Field:
        """Return the neurons of a session of images or of units; UserError if none."""
        if start.units is not None:
            return self._units(np.array(start.units, np.int64), rates_in(start))
        return self.field(start.shape, len(start.planes))

    def _units(self, ids: Array, measured_in: str | None) -> Field:
        if self.card is not None:
            _require_units(self.card, measured_in)
            if ids.tolist() != self.card.rois.ids.tolist():
                raise UserError(
                    f"the session tells of {len(ids)} units, the encoder knows "
                    f"{len(self.card.rois)} neurons; send those, in the encoder's order"
                )
        return Field(on_a_line(ids), (None,))

    def field(self, shape: tuple[int, int], n_planes: int) -> Field:
        """Return what lies on a field of (lines, pixels); UserError if another."""
        if self.card is None:
            if self.path is None:
                raise UserError(
                    "images came, but rois.units = true says that only rates of units "
                    f"will; set rois.path to masks ({ACCEPTED})"
                )
            rois = load_rois(self.path, shape, self.settings)
            _require_planes(rois, n_planes)
            return Field(rois, (None,) * n_planes)
        _require_units(self.card, None)
        planes, lines, pixels = self.card.mean_image.shape
        if (planes, lines, pixels) != (n_planes, *shape):
            raise UserError(
                f"frames are {shape[0]} x {shape[1]} of {n_planes} plane(s), but the "
                f"encoder's neurons lie on a field of {lines} x {pixels} of {planes}; "
                "use the encoder of this field"
            )
        return Field(self.card.rois, tuple(self.card.mean_image))


def _require_planes(rois: RoiSet, n_planes: int) -> None:
    deepest = int(rois.planes.max(initial=0))
    if deepest >= n_planes:
        raise UserError(
            f"masks lie in planes 0 to {deepest}, but the session has {n_planes} "
            "plane(s); use the masks of this session's planes"
        )


def rates_in(start: Start) -> str | None:
    """Return what a session's rates are measured in; None of images."""
    return None if start.units is None else start.rates_in or RATE_UNITS


def _require_units(card: Card, measured_in: str | None) -> None:
    told = measured_in or LIVE_UNITS
    if card.units != told:
        raise SettingsError(
            f"encoder.checkpoint = {card.path} was trained on {card.units}, but "
            f"{'rates come in' if measured_in else 'images give'} {told}; train one on "
            "a session that was recorded so: rtrecon train --session SESSION, with "
            "--freeze-core for its core"
        )


def read_neurons(settings: Settings) -> Neurons:
    """Read what the settings name; raises UserError with a sentence."""
    path = settings.rois.path
    if path is not None and not Path(path).exists():
        raise SettingsError(f"rois.path = {path} does not exist")
    if settings.encoder.checkpoint is None:
        if path is None and not settings.rois.units:
            raise SettingsError(
                f"no neurons: set rois.path to masks ({ACCEPTED}), or "
                "encoder.checkpoint to an encoder, which brings its own"
            )
        return Neurons(None, path, settings.rois)
    card = read_card(find(settings.encoder.checkpoint))
    if path is not None:
        _require_units(card, None)  # masks are for images
        require_same_neurons(card, load_rois(path, card.rois.shape, settings.rois))
    return Neurons(card, path, settings.rois)
