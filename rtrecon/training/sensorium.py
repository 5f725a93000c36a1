"""Training on a Sensorium 2023 folder: tier 'train' trains, tier 'oracle' validates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.layout import RATE_HZ, RESPONSE_UNITS
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.rois import roi_set
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.train import (
    DEFAULT_OPTIONS,
    TrainingOptions,
    train_encoder,
    validate_training,
)
from rtrecon.training.training_data import (
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    add_metadata,
    assemble,
)

_MIN_TRIALS = 2


def train_on_sensorium(
    path: Path,
    recipe: TrainingRecipe,
    out: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions = DEFAULT_OPTIONS,
) -> Checkpoint:
    """Fit, calibrate and save an encoder of the mouse in a folder at `out`.

    Responses are used in their own units. All of them are in memory at once, in single
    precision: 3.4 GB for 8000 neurons and an hour.
    """
    validate_training(out, recipe, options)
    data = read_training_data(SensoriumFolder(path), on_progress)
    return train_encoder(data, recipe, out, on_progress, options)


def read_training_data(
    folder: SensoriumFolder, on_progress: ProgressCallback
) -> TrainingData:
    """Read the trials for training and validation.

    Raises UserError where there are too few, or responses are missing or negative.
    """
    training, validation = _split_tiers(folder)
    longest = folder.max_frames
    training_source, validation_source = (
        SegmentSource(
            _read_segments(folder, trials, on_progress), len(trials) * longest
        )
        for trials in (training, validation)
    )
    data = assemble(training_source, validation_source, _make_neurons(folder))
    return add_metadata(
        data,
        _estimate_ceiling(folder, validation),
        rate_hz=RATE_HZ,
        sensorium=folder.name,
        units=RESPONSE_UNITS,
        coordinates_um=folder.coordinates_um.tolist(),
    )


def _split_tiers(folder: SensoriumFolder) -> tuple[list[int], list[int]]:
    """Return trials to train on and to validate with; a tenth if no tier validates."""
    training, validation = folder.list_trials("train"), folder.list_trials("oracle")
    if len(training) < _MIN_TRIALS:
        raise UserError(
            f"{folder.path} has {len(training)} trials of tier 'train'; training needs "
            f"{_MIN_TRIALS} or more"
        )
    if validation:
        return training, validation
    n_validation = max(1, len(training) // 10)
    return training[:-n_validation], training[-n_validation:]


def _read_segments(
    folder: SensoriumFolder, trials: list[int], on_progress: ProgressCallback
) -> Iterator[Segment]:
    for count, index in enumerate(trials):
        trial = folder.read_trial(index)
        assert trial.responses is not None  # these tiers have them
        _require_complete(folder, index, trial.responses)
        yield Segment(trial.movie, trial.behavior, trial.responses)
        detail = f"{count + 1} trials of {folder.tiers[index]}"
        on_progress("reading", (count + 1) / len(trials), detail)


def _require_complete(folder: SensoriumFolder, trial: int, responses: Array) -> None:
    """Raise UserError if a response is NaN; the end of a trial is cut off before."""
    missing = np.argwhere(np.isnan(responses))
    if len(missing):
        frame, neuron = missing[0]
        raise UserError(
            f"{folder.path} has no response (NaN) of neuron index {neuron} in frame "
            f"{frame} of trial {trial}; download the folder again, or leave the trial "
            "out by changing its tier"
        )


def _make_neurons(folder: SensoriumFolder) -> TrainedNeurons:
    """Return neurons without masks; their planes are the depths, from the top."""
    depths, planes = np.unique(folder.coordinates_um[:, 2], return_inverse=True)
    no_pixels = np.empty(0, np.int32)
    empty_masks = [(no_pixels, no_pixels, np.empty(0, np.float32))] * len(planes)
    masks = roi_set.build_roi_set(
        folder.unit_ids, (1, 1), empty_masks, planes.astype(np.int32)
    )
    return TrainedNeurons(masks, np.zeros((len(depths), 1, 1), np.float32))


def _estimate_ceiling(folder: SensoriumFolder, trials: list[int]) -> Array | None:
    """Return (n,) single-trial ceiling from repeats of a movie; None without any.

    The root of the share of variance that repeats (Sahani & Linden 2003). It is what
    the movie alone determines; an encoder that knows behavior may exceed it.
    """
    groups = _group_repeats(folder, trials)
    if not groups:
        return None
    signal = total = np.zeros(len(folder.unit_ids))
    for group in groups:
        responses = _read_responses(folder, group)
        single_trial = responses.var(1).mean(0)
        n = len(responses)
        signal = signal + (n * responses.mean(0).var(0) - single_trial) / (n - 1)
        total = total + single_trial
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.maximum(signal, 0) / total)


def _group_repeats(folder: SensoriumFolder, trials: list[int]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index in trials:
        movie = folder.read_trial(index).movie
        groups[hashlib.sha256(movie.tobytes()).digest()].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _read_responses(folder: SensoriumFolder, group: list[int]) -> Array:
    """Return (trials, T, n) for one movie, cut to the shortest trial."""
    trials = [folder.read_trial(index).responses for index in group]
    predicted = [trial[MEMORY_FRAMES - 1 :] for trial in trials if trial is not None]
    n_frames = min(len(trial) for trial in predicted)
    return np.stack([trial[:n_frames] for trial in predicted])
