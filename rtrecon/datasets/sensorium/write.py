"""Writes trials as a Sensorium 2023 folder, statistics included."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.layout import (
    DATA_KINDS,
    STATISTICS,
    DataKind,
    Statistic,
)
from rtrecon.datasets.sensorium.trial import SensoriumTrial

_BLOCK_BYTES = 64 * 2**20  # read at once, of all trials together, for the median


@dataclass(frozen=True)
class NeuronTable:
    """The neurons of a folder.

    unit_ids: (n,), each different. coordinates_um: (n, 3), x, y and z.
    """

    unit_ids: Array
    coordinates_um: Array


def write_folder(
    path: Path,
    neurons: NeuronTable,
    n_frames: int,
    trials: Iterable[tuple[str, SensoriumTrial]],
) -> None:
    """Write trials with their tiers one after the other; `n_frames` is the maximum.

    Responses of None are written as zeros, as in the real data. Raises UserError if the
    folder is not empty, or a trial is too long.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; give a new one")
    tiers = []
    for index, (tier, trial) in enumerate(trials):
        if len(trial) > n_frames:
            raise UserError(
                f"trial {index} has {len(trial)} frames, more than the {n_frames} "
                "of the folder"
            )
        tiers.append(tier)
        for kind, array in _build_arrays(
            trial, n_frames, len(neurons.unit_ids)
        ).items():
            _save_array(path / layout.get_trial_path(kind, index), array)
    _save_array(path / layout.TIERS_FILE, np.array(tiers, np.str_))
    _save_array(path / layout.TRIAL_IDS_FILE, np.arange(len(tiers)).astype(np.str_))
    _save_array(path / layout.UNIT_IDS_FILE, np.asarray(neurons.unit_ids, np.int64))
    coordinates = np.rint(neurons.coordinates_um).astype(np.int64)
    _save_array(path / layout.COORDINATES_FILE, coordinates)
    _write_statistics(path, [i for i, tier in enumerate(tiers) if tier == "train"])


def _build_arrays(
    trial: SensoriumTrial, n_frames: int, n_neurons: int
) -> dict[DataKind, Array]:
    """Return the arrays of a trial's files: time last, padded with NaN.

    Behaviour is padded with its last value, as in the real data.
    """
    dilation_and_speed, center = trial.behavior[:, :2], trial.behavior[:, 2:]
    n_padding = n_frames - len(trial)
    if trial.responses is None:
        responses = np.zeros((n_neurons, n_frames), np.float32)
    else:
        responses = _pad_with_nan(trial.responses, n_frames)
    return {
        "videos": _pad_with_nan(trial.movie, n_frames),
        "responses": responses,
        "behavior": np.pad(dilation_and_speed.T, ((0, 0), (0, n_padding)), mode="edge"),
        "pupil_center": _pad_with_nan(center, n_frames),
    }


def _pad_with_nan(frames: Array, n_frames: int) -> Array:
    """Return (..., n_frames) from (T, ...), NaN after the last frame."""
    padded = np.full((*frames.shape[1:], n_frames), np.nan, np.float32)
    padded[..., : len(frames)] = np.moveaxis(frames, 0, -1)
    return padded


def _write_statistics(path: Path, trials: list[int]) -> None:
    """Write statistics of each frame over training trials; NaN if no trial has it."""
    if not trials:
        return
    for kind in DATA_KINDS:
        files = [path / layout.get_trial_path(kind, index) for index in trials]
        blocks = [_compute_statistics(block) for block in _read_blocks(files)]
        for statistic in STATISTICS:
            whole = np.concatenate([block[statistic] for block in blocks])
            _save_array(path / layout.get_statistics_path(kind, statistic), whole)


def _read_blocks(files: list[Path]) -> Iterator[Array]:
    """Yield (trials, some rows, ..., F), with as many rows as fit in memory."""
    opened = [np.load(file, mmap_mode="r") for file in files]
    n_rows = len(opened[0])
    size = max(1, _BLOCK_BYTES * n_rows // (len(opened) * opened[0].nbytes))
    for start in range(0, n_rows, size):
        yield np.stack([array[start : start + size] for array in opened])


def _compute_statistics(block: Array) -> dict[Statistic, Array]:
    with warnings.catch_warnings():  # for frames that no trial has
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            "min": np.nanmin(block, 0),
            "max": np.nanmax(block, 0),
            "mean": np.nanmean(block, 0),
            "median": np.nanmedian(block, 0),
            "std": np.nanstd(block, 0),
        }


def _save_array(file: Path, array: Array) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array, allow_pickle=False)
