"""A Sensorium 2023 folder, read one trial at a time."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.layout import (
    KINDS,
    LABELLED,
    MOMENTS,
    TIERS,
    Kind,
    Moment,
)
from rtrecon.datasets.sensorium.trial import Trial, from_files
from rtrecon.sources.npy import holds_objects, read_numbers, read_objects


class Folder:
    """One mouse's recording. UserError with a sentence for whatever is missing or odd.

    tiers: (n_trials,) what each trial is for. unit_ids: (n,). coordinates_um: (n, 3),
    x, y and z of each neuron.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tiers = self._read_tiers()
        self.unit_ids = self._numbers(layout.UNIT_IDS_FILE).astype(np.int64)
        self.coordinates_um = self._numbers(layout.COORDINATES_FILE).astype(np.float32)
        self._require_neurons()

    @property
    def name(self) -> str:
        """Animal, session and scan, as the folder is called."""
        return self.path.resolve().name

    def tier(self, name: str) -> list[int]:
        """Return the trials of a tier, in the folder's order."""
        return [int(index) for index in np.flatnonzero(self.tiers == name)]

    @cached_property
    def frames_at_most(self) -> int:
        """How many frames the longest trial has."""
        return int(self._numbers(layout.trial_file("videos", 0)).shape[-1])

    def trial(self, index: int) -> Trial:
        """Read a trial. Labelled ones have responses; of others they may be missing."""
        kinds: list[Kind] = list(KINDS)
        labelled = self.tiers[index] in LABELLED
        responses = self.path / layout.trial_file("responses", index)
        if not labelled and not responses.is_file():
            kinds.remove("responses")
        arrays = {kind: self._numbers(layout.trial_file(kind, index)) for kind in kinds}
        try:
            trial = from_files(arrays, len(self.unit_ids))
        except UserError as error:
            raise UserError(f"trial {index} of {self.path}: {error}") from None
        if labelled and trial.responses is None:
            raise UserError(
                f"trial {index} of {self.path} is of tier '{self.tiers[index]}', but "
                "its responses are all zero; fetch the folder anew"
            )
        return trial

    def statistics(self, kind: Kind) -> dict[Moment, Array]:
        """Return what was usual at each frame of a trial, time last, as it is kept."""
        return {
            moment: self._numbers(layout.statistics_file(kind, moment))
            for moment in MOMENTS
        }

    def _read_tiers(self) -> Array:
        tiers = _texts(self._existing(layout.TIERS_FILE))
        unknown = sorted(set(tiers.tolist()) - set(TIERS))
        if unknown or not len(tiers):
            raise UserError(
                f"{self.path / layout.TIERS_FILE} has "
                f"{'tiers ' + ', '.join(unknown) if unknown else 'no trial'}; "
                f"known are {', '.join(TIERS)}"
            )
        return tiers

    def _require_neurons(self) -> None:
        ids, places = self.unit_ids, self.coordinates_um
        if ids.ndim != 1 or places.shape != (len(ids), 3):
            raise UserError(
                f"{self.path} has unit ids of shape {ids.shape} and coordinates of "
                f"shape {places.shape}; expected (n,) and (n, 3): fetch meta/neurons "
                "anew"
            )
        if len(np.unique(ids)) != len(ids):
            raise UserError(f"{self.path} gives the same unit id to several neurons")

    def _numbers(self, file: Path) -> Array:
        return read_numbers(self._existing(file))

    def _existing(self, file: Path) -> Path:
        if not self.path.is_dir():
            raise UserError(f"{self.path} is not a folder; give one of Sensorium 2023")
        path = self.path / file
        if not path.is_file():
            raise UserError(
                f"{self.path} lacks {file.as_posix()}; give the unpacked folder of one "
                "mouse, in which data and meta lie, or fetch it anew"
            )
        return path


def _texts(path: Path) -> Array:
    """Return an array of texts, which some copies of the data keep as objects."""
    try:
        if holds_objects(path):
            return read_objects(path).astype(np.str_)
        texts = np.load(path, allow_pickle=False)
    except (UserError, OSError, ValueError):
        raise UserError(f"{path} cannot be read as texts; fetch it anew") from None
    if texts.dtype.kind != "U" or texts.ndim != 1:
        raise UserError(f"{path} holds {texts.dtype} {texts.shape}, not a row of texts")
    return np.asarray(texts)
