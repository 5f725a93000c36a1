"""Which neurons: masks from a file, or from the encoder; if both, they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtrecon.config import Settings, SettingsError
from rtrecon.encoder.card import Card, find, read_card, require_same_neurons
from rtrecon.errors import UserError
from rtrecon.rois import RoiSet
from rtrecon.sources.masks import load_rois


@dataclass(frozen=True)
class Neurons:
    """The encoder's card, if there is one, and the masks' file, if there is one."""

    card: Card | None
    path: str | None

    def rois_on(self, shape: tuple[int, int]) -> RoiSet:
        """Return the masks for a field of this shape; UserError if they do not fit."""
        if self.card is None:
            assert self.path is not None
            return load_rois(self.path, shape)
        rois = self.card.rois
        if rois.shape != shape:
            raise UserError(
                f"frames are {shape[0]} x {shape[1]}, but the encoder's neurons lie on "
                f"a field of {rois.shape[0]} x {rois.shape[1]}; use the encoder of "
                "this field"
            )
        return rois


def read_neurons(settings: Settings) -> Neurons:
    """Read what the settings name; raises UserError with a sentence."""
    path = settings.rois.path
    if path is not None and not Path(path).exists():
        raise SettingsError(f"rois.path = {path} does not exist")
    if settings.encoder.checkpoint is None:
        if path is None:
            raise SettingsError(
                "no neurons: set rois.path to masks (Suite2p stat.npy, regions .json) "
                "or encoder.checkpoint to an encoder, which brings its own"
            )
        return Neurons(None, path)
    card = read_card(find(settings.encoder.checkpoint))
    if path is not None:
        require_same_neurons(card, load_rois(path, card.rois.shape))
    return Neurons(card, path)
