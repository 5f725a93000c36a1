"""The neurons of a session: from a file of masks, or stored with the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.config import RoiSettings, Settings, SettingsError
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import (
    DFF_UNITS,
    RATE_UNITS,
    Card,
    find_checkpoint,
    read_card,
    require_same_neurons,
)
from rtrecon.protocol.messages import SessionStart
from rtrecon.rois.readers.registry import (
    describe_formats,
    load_rois,
    split_table,
)
from rtrecon.rois.roi_set import RoiSet, build_roi_set, build_unit_roi_set
from rtrecon.stimulus_space.registry import find_space
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

_MAX_RATE_DIFFERENCE = 0.01  # share by which rates may differ


@dataclass(frozen=True)
class FieldNeurons:
    """The neurons of a field of view, and the images on which they were drawn.

    stored_images: for each plane (lines, pixels) float32, perhaps of another day; None
    where the masks lie on today's image. space: of the session's stimuli.
    """

    rois: RoiSet
    stored_images: tuple[Array | None, ...]
    space: StimulusSpace = VIDEO

    def plane_indices(self, plane: int) -> Array:
        """Return the indices of the neurons in a plane."""
        return np.flatnonzero(self.rois.planes == plane)


@dataclass(frozen=True)
class NeuronSource:
    """Where neurons come from: the encoder's card, a file of masks, or the session.

    is_dish: neurons in a dish are traced; there are no regions. space: of the stimuli,
    as the encoder says; without one, as the settings say.
    """

    card: Card | None
    masks_path: Path | None
    settings: RoiSettings
    is_dish: bool = False
    space: StimulusSpace = VIDEO

    @property
    def has_unit_rates(self) -> bool:
        """Whether senders must send rates of units instead of images."""
        if self.is_dish:
            return False
        return self.card.units != DFF_UNITS if self.card else self.masks_path is None

    @property
    def shape(self) -> tuple[int, int] | None:
        """(lines, pixels) of the encoder's field; None if there is none."""
        return self.card.rois.shape if self.card and not self.has_unit_rates else None

    def select_for_session(self, start: SessionStart, unit_ids: Array) -> FieldNeurons:
        """Return the neurons of a session; UserError if they do not fit.

        unit_ids: int64 (units,), the payload of the start; used for spike rates only.
        """
        if self.is_dish:
            return _select_no_neurons(start)
        if start.has_unit_rates:
            return self._select_units(unit_ids, get_rate_unit(start))
        return self.select_for_images(start.shape, len(start.planes))

    def _select_units(self, ids: Array, rate_unit: str | None) -> FieldNeurons:
        if self.card is not None:
            _require_same_unit(self.card, rate_unit)
            if not np.array_equal(ids, self.card.rois.ids):
                raise UserError(
                    f"the session has {len(ids)} units, the encoder "
                    f"{len(self.card.rois)} neurons; send the units of the encoder, in "
                    "its order"
                )
        return FieldNeurons(build_unit_roi_set(ids), (None,), self.space)

    def select_for_images(self, shape: tuple[int, int], n_planes: int) -> FieldNeurons:
        """Return the neurons of images (lines, pixels); UserError if none fit."""
        if self.card is None:
            if self.masks_path is None:
                raise UserError(
                    "the sender sends images, but rois.unit_rates = true expects "
                    f"rates; set rois.path to masks ({describe_formats()})"
                )
            rois = load_rois(self.masks_path, shape, self.settings)
            _require_planes(rois, n_planes)
            return FieldNeurons(rois, (None,) * n_planes, self.space)
        _require_same_unit(self.card, None)
        planes, lines, pixels = self.card.mean_image.shape
        if (planes, lines, pixels) != (n_planes, *shape):
            raise UserError(
                f"frames are {shape[0]} x {shape[1]} of {n_planes} plane(s), but the "
                f"encoder's neurons lie on a field of {lines} x {pixels} of {planes}; "
                "use the encoder of this field"
            )
        return FieldNeurons(self.card.rois, tuple(self.card.mean_image), self.space)


def _select_no_neurons(start: SessionStart) -> FieldNeurons:
    """Return a field without regions: neurons are traced, not given."""
    if start.has_unit_rates:
        raise UserError(
            "the sender sends rates, but dish.enabled = true expects pictures of a dish"
        )
    rois = build_roi_set(np.zeros(0, np.int64), start.shape, [])
    return FieldNeurons(rois, (None,) * len(start.planes))


def _require_planes(rois: RoiSet, n_planes: int) -> None:
    deepest = int(rois.planes.max(initial=0))
    if deepest >= n_planes:
        raise UserError(
            f"masks lie in planes 0 to {deepest}, but the session has {n_planes} "
            "plane(s); use the masks of this session's planes"
        )


def get_rate_unit(start: SessionStart) -> str | None:
    """Return the unit of a session's rates; None for images."""
    return start.rate_unit or RATE_UNITS if start.has_unit_rates else None


def _require_same_unit(card: Card, rate_unit: str | None) -> None:
    """Require that the encoder was trained on activity in this unit; None = images."""
    unit = rate_unit or DFF_UNITS
    if card.units != unit:
        raise SettingsError(
            f"encoder.checkpoint = {card.path} was trained on {card.units}, but "
            f"{'rates are sent in' if rate_unit else 'images give'} {unit}; train an "
            "encoder on a session that was recorded like this: rtrecon train --session "
            "SESSION, with --freeze-core to keep the core of this one"
        )


def _require_rate_of_space(
    space: StimulusSpace, origin: str, settings: Settings
) -> None:
    """Require the time base of the stimuli.

    origin: what says which stimuli there are, for the error.
    """
    rate_hz = settings.timing.encoder_rate_hz
    if abs(space.rate_hz - rate_hz) > _MAX_RATE_DIFFERENCE * space.rate_hz:
        raise SettingsError(
            f"timing.encoder_rate_hz = {rate_hz:g}, but {origin} {space.name} at "
            f"{space.rate_hz:g} Hz; set timing.encoder_rate_hz = {space.rate_hz:g}"
        )


def read_neuron_source(settings: Settings) -> NeuronSource:
    """Read the card and check the masks of the settings; raises UserError."""
    path = settings.rois.path
    if settings.dish.enabled:
        if path is not None or settings.encoder.checkpoint is not None:
            raise SettingsError(
                "dish.enabled = true traces neurons in a dish; leave out rois.path and "
                "encoder.checkpoint"
            )
        return NeuronSource(None, None, settings.rois, is_dish=True)
    if path is not None and not split_table(path)[0].exists():
        raise SettingsError(f"rois.path = {path} does not exist")
    if settings.encoder.checkpoint is None:
        if path is None and not settings.rois.unit_rates:
            raise SettingsError(
                f"no neurons: set rois.path to masks ({describe_formats()}), or "
                "encoder.checkpoint to an encoder, which has its own"
            )
        encoder, rate_hz = settings.encoder, settings.timing.encoder_rate_hz
        space = find_space(encoder.stimulus, encoder.stimulus_size, rate_hz)
        _require_rate_of_space(space, "encoder.stimulus is", settings)
        return NeuronSource(None, path, settings.rois, space=space)
    card = read_card(find_checkpoint(settings.encoder.checkpoint))
    _require_rate_of_space(
        card.space, f"encoder.checkpoint = {card.path} was trained on", settings
    )
    if path is not None:
        _require_same_unit(card, None)  # masks are for images
        require_same_neurons(card, load_rois(path, card.rois.shape, settings.rois))
    return NeuronSource(card, path, settings.rois, space=card.space)
