"""Reads a Sensorium 2023 folder, one trial at a time."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.layout import (
    DATA_KINDS,
    LABELLED_TIERS,
    STATISTICS,
    TIERS,
    DataKind,
    Statistic,
    get_statistics_path,
    get_trial_path,
)
from rtrecon.datasets.sensorium.trial import SensoriumTrial, build_trial
from rtrecon.sources.npy import has_objects, read_numbers, read_objects


class SensoriumFolder:
    """One mouse's recording; raises UserError if a file is missing or wrong.

    tiers: (n_trials,), the tier of each trial. unit_ids: (n,). coordinates_um: (n, 3),
    x, y and z of each neuron.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tiers = self._read_tiers()
        self.unit_ids = self._read_numbers(layout.UNIT_IDS_FILE).astype(np.int64)
        self.coordinates_um = self._read_numbers(layout.COORDINATES_FILE).astype(
            np.float32
        )
        self._require_neurons()

    @property
    def name(self) -> str:
        """Name of the folder: animal, session and scan."""
        return self.path.resolve().name

    def list_trials(self, tier: str) -> list[int]:
        """Return the indices of the trials of a tier, in the order of the folder."""
        return [int(index) for index in np.flatnonzero(self.tiers == tier)]

    @cached_property
    def max_frames(self) -> int:
        """Number of frames of the longest trial."""
        return int(self._read_numbers(get_trial_path("videos", 0)).shape[-1])

    def read_trial(self, index: int) -> SensoriumTrial:
        """Read a trial; only trials of `LABELLED_TIERS` always have responses."""
        kinds: list[DataKind] = list(DATA_KINDS)
        is_labelled = self.tiers[index] in LABELLED_TIERS
        responses = self.path / get_trial_path("responses", index)
        if not is_labelled and not responses.is_file():
            kinds.remove("responses")
        arrays = {
            kind: self._read_numbers(get_trial_path(kind, index)) for kind in kinds
        }
        try:
            trial = build_trial(arrays, len(self.unit_ids))
        except UserError as error:
            raise UserError(f"trial {index} of {self.path}: {error}") from None
        if is_labelled and trial.responses is None:
            raise UserError(
                f"trial {index} of {self.path} is of tier '{self.tiers[index]}', but "
                "its responses are all zero; download the folder again"
            )
        return trial

    def read_statistics(self, kind: DataKind) -> dict[Statistic, Array]:
        """Return each statistic at each frame of a trial, time last, as stored."""
        return {
            statistic: self._read_numbers(get_statistics_path(kind, statistic))
            for statistic in STATISTICS
        }

    def _read_tiers(self) -> Array:
        tiers = _read_texts(self._require_file(layout.TIERS_FILE))
        unknown = sorted(set(tiers.tolist()) - set(TIERS))
        if unknown or not len(tiers):
            raise UserError(
                f"{self.path / layout.TIERS_FILE} has "
                f"{'tiers ' + ', '.join(unknown) if unknown else 'no trial'}; "
                f"known tiers are {', '.join(TIERS)}"
            )
        return tiers

    def _require_neurons(self) -> None:
        ids, coordinates = self.unit_ids, self.coordinates_um
        if ids.ndim != 1 or coordinates.shape != (len(ids), 3):
            raise UserError(
                f"{self.path} has unit ids of shape {ids.shape} and coordinates of "
                f"shape {coordinates.shape}; expected (n,) and (n, 3): download "
                "meta/neurons again"
            )
        if len(np.unique(ids)) != len(ids):
            raise UserError(f"{self.path} gives the same unit id to several neurons")

    def _read_numbers(self, file: Path) -> Array:
        return read_numbers(self._require_file(file))

    def _require_file(self, file: Path) -> Path:
        if not self.path.is_dir():
            raise UserError(f"{self.path} is not a folder; give one of Sensorium 2023")
        path = self.path / file
        if not path.is_file():
            raise UserError(
                f"{self.path} lacks {file.as_posix()}; give the unpacked folder of one "
                "mouse, which contains data and meta, or download it again"
            )
        return path


def _read_texts(path: Path) -> Array:
    """Return an array of texts, which some copies of the data store as objects."""
    try:
        if has_objects(path):
            return read_objects(path).astype(np.str_)
        texts = np.load(path, allow_pickle=False)
    except (UserError, OSError, ValueError):
        raise UserError(f"{path} cannot be read as texts; download it again") from None
    if texts.dtype.kind != "U" or texts.ndim != 1:
        raise UserError(f"{path} holds {texts.dtype} {texts.shape}, not a row of texts")
    return np.asarray(texts)
