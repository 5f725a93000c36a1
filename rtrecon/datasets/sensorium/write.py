"""Trials written as a Sensorium 2023 folder, statistics included."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.layout import KINDS, MOMENTS, Kind, Moment
from rtrecon.datasets.sensorium.trial import Trial

_BLOCK_BYTES = 64 * 2**20  # of all trials together, while their median is sought


@dataclass(frozen=True)
class Neurons:
    """unit_ids: (n,), each once. coordinates_um: (n, 3), x, y and z."""

    unit_ids: Array
    coordinates_um: Array


def write_folder(
    path: Path, neurons: Neurons, n_frames: int, trials: Iterable[tuple[str, Trial]]
) -> None:
    """Write trials, each with its tier, none longer than `n_frames`, as they come.

    Responses of None are written as the real data withholds them: as zeros. UserError
    if the folder has something in it, or a trial is too long.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; give a new one")
    tiers = []
    for index, (tier, trial) in enumerate(trials):
        if len(trial) > n_frames:
            raise UserError(
                f"trial {index} has {len(trial)} frames, more than the {n_frames} that "
                "the folder has room for"
            )
        tiers.append(tier)
        for kind, array in _arrays(trial, n_frames, len(neurons.unit_ids)).items():
            _save(path / layout.trial_file(kind, index), array)
    _save(path / layout.TIERS_FILE, np.array(tiers, np.str_))
    _save(path / layout.TRIAL_IDS_FILE, np.arange(len(tiers)).astype(np.str_))
    _save(path / layout.UNIT_IDS_FILE, np.asarray(neurons.unit_ids, np.int64))
    places = np.rint(neurons.coordinates_um).astype(np.int64)
    _save(path / layout.COORDINATES_FILE, places)
    _write_statistics(path, [i for i, tier in enumerate(tiers) if tier == "train"])


def _arrays(trial: Trial, n_frames: int, n_neurons: int) -> dict[Kind, Array]:
    """Return what a trial's files hold: time last, filled up with NaN.

    Behaviour goes on to the end, as it does in the real data.
    """
    dilation_and_speed, center = trial.behavior[:, :2], trial.behavior[:, 2:]
    longer = n_frames - len(trial)
    if trial.responses is None:
        responses = np.zeros((n_neurons, n_frames), np.float32)
    else:
        responses = _padded(trial.responses, n_frames)
    return {
        "videos": _padded(trial.movie, n_frames),
        "responses": responses,
        "behavior": np.pad(dilation_and_speed.T, ((0, 0), (0, longer)), mode="edge"),
        "pupil_center": _padded(center, n_frames),
    }


def _padded(frames: Array, n_frames: int) -> Array:
    """Return (..., n_frames) from (T, ...), NaN behind the last frame."""
    padded = np.full((*frames.shape[1:], n_frames), np.nan, np.float32)
    padded[..., : len(frames)] = np.moveaxis(frames, 0, -1)
    return padded


def _write_statistics(path: Path, trials: list[int]) -> None:
    """Keep each frame's statistics over training trials, NaN where there is none."""
    if not trials:
        return
    for kind in KINDS:
        files = [path / layout.trial_file(kind, index) for index in trials]
        blocks = [_statistics(block) for block in _blocks(files)]
        for moment in MOMENTS:
            whole = np.concatenate([block[moment] for block in blocks])
            _save(path / layout.statistics_file(kind, moment), whole)


def _blocks(files: list[Path]) -> Iterator[Array]:
    """Yield (trials, some rows, ..., F), few enough rows to fit in memory."""
    opened = [np.load(file, mmap_mode="r") for file in files]
    n_rows = len(opened[0])
    size = max(1, _BLOCK_BYTES * n_rows // (len(opened) * opened[0].nbytes))
    for start in range(0, n_rows, size):
        yield np.stack([array[start : start + size] for array in opened])


def _statistics(block: Array) -> dict[Moment, Array]:
    with warnings.catch_warnings():  # of frames that no trial has
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            "min": np.nanmin(block, 0),
            "max": np.nanmax(block, 0),
            "mean": np.nanmean(block, 0),
            "median": np.nanmedian(block, 0),
            "std": np.nanstd(block, 0),
        }


def _save(file: Path, array: Array) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array, allow_pickle=False)
