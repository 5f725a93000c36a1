"""Training from a Sensorium 2023 folder: its train tier, judged by its oracle tier."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.layout import RATE_HZ, UNITS
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY
from rtrecon.rois import roi_set
from rtrecon.training.calibration import Report
from rtrecon.training.compact.fit import Recipe
from rtrecon.training.train import FROM_NOTHING, Start, prepare, train_material
from rtrecon.training.training_data import (
    Material,
    Neurons,
    Stretch,
    Stretches,
    gather,
    with_meta,
)

_LEAST_TRIALS = 2


def train_sensorium(
    path: Path,
    recipe: Recipe,
    out: Path,
    report: Report,
    start: Start = FROM_NOTHING,
) -> Checkpoint:
    """Fit, calibrate and save an encoder of the mouse in a folder at `out`.

    Responses are taken as they are given. All of a mouse's responses are held in
    memory at once, in single precision: 3.4 GB for 8000 neurons and an hour.
    """
    prepare(out, recipe, start)
    material = read_material(Folder(path), report)
    return train_material(material, recipe, out, report, start)


def read_material(folder: Folder, report: Report) -> Material:
    """Read what there is to train on; UserError where it is not enough."""
    training, validation = _tiers(folder)
    longest = folder.frames_at_most
    material = gather(
        Stretches(_stretches(folder, training, report), len(training) * longest),
        Stretches(_stretches(folder, validation, report), len(validation) * longest),
        _neurons(folder),
    )
    return with_meta(
        material,
        _ceiling(folder, validation),
        rate_hz=RATE_HZ,
        sensorium=folder.name,
        units=UNITS,
        coordinates_um=folder.coordinates_um.tolist(),
    )


def _tiers(folder: Folder) -> tuple[list[int], list[int]]:
    """Return trials to train on and to validate with: a tenth, if none is meant to."""
    training, validation = folder.tier("train"), folder.tier("oracle")
    if len(training) < _LEAST_TRIALS:
        raise UserError(
            f"{folder.path} has {len(training)} trials of tier 'train'; training needs "
            f"{_LEAST_TRIALS} or more"
        )
    if validation:
        return training, validation
    n_kept = max(1, len(training) // 10)
    return training[:-n_kept], training[-n_kept:]


def _stretches(folder: Folder, trials: list[int], report: Report) -> Iterator[Stretch]:
    for count, index in enumerate(trials):
        trial = folder.trial(index)
        assert trial.responses is not None  # these tiers have them
        yield Stretch(trial.movie, trial.behavior, trial.responses)
        tier = folder.tiers[index]
        report("reading", (count + 1) / len(trials), f"{count + 1} trials of {tier}")


def _neurons(folder: Folder) -> Neurons:
    """Return neurons whose masks nobody gave; planes are the depths, from above."""
    depths, planes = np.unique(folder.coordinates_um[:, 2], return_inverse=True)
    nowhere = np.empty(0, np.int32)
    unseen = [(nowhere, nowhere, np.empty(0, np.float32))] * len(planes)
    masks = roi_set.from_pixels(
        folder.unit_ids, (1, 1), unseen, planes.astype(np.int32)
    )
    return Neurons(masks, np.zeros((len(depths), 1, 1), np.float32))


def _ceiling(folder: Folder, trials: list[int]) -> Array | None:
    """Return (n,) single-trial ceiling from trials of the same movie; None without any.

    The root of the share of variance that repeats (Sahani & Linden 2003): what the
    movie alone determines, so that an encoder which knows behaviour may pass it.
    """
    groups = _repeats(folder, trials)
    if not groups:
        return None
    signal = total = np.zeros(len(folder.unit_ids))
    for group in groups:
        shown = _responses(folder, group)
        single = shown.var(1).mean(0)
        n = len(shown)
        signal = signal + (n * shown.mean(0).var(0) - single) / (n - 1)
        total = total + single
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.maximum(signal, 0) / total)


def _repeats(folder: Folder, trials: list[int]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index in trials:
        movie = folder.trial(index).movie
        groups[hashlib.sha256(movie.tobytes()).digest()].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _responses(folder: Folder, group: list[int]) -> Array:
    """Return (trials, T, n) of one movie, as long as all of them are."""
    each = [folder.trial(index).responses for index in group]
    known = [responses[MEMORY - 1 :] for responses in each if responses is not None]
    n_frames = min(len(responses) for responses in known)
    return np.stack([responses[:n_frames] for responses in known])
