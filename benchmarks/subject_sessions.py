"""Families of neurons to compare methods on: sessions, encoders of both forms.

A session is one trial of a family's neurons (`rtrecon.simulate.subjects`) without a
microscope: activity is the number of spikes of each encoder frame. Training shows
generated scenes and some videos, the test clips are of other videos and scenes. The
last tenth of a session, which validates, shows new scenes alone: the cameras of the
videos stand still, so that a decoder would know their backgrounds from training.
Everything follows from seeds and is stored in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from test_data import TEST_DATA
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.visual_field import select_visual_field
from rtrecon.rois.roi_set import build_unit_roi_set
from rtrecon.simulate.behavior import simulate_behavior
from rtrecon.simulate.movie import RATE_HZ, SHAPE, make_natural_movie
from rtrecon.simulate.subjects.registry import make_subject
from rtrecon.simulate.subjects.subject import Subject, SubjectOptions
from rtrecon.simulate.training_movie import MovieFolders, make_training_movie
from rtrecon.simulate.trial import simulate_trial
from rtrecon.sources.video import read_clip
from rtrecon.training import CLIP_FRAMES, TrainingOptions
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.encoder_form import EncoderForm
from rtrecon.training.score import correlate_columns
from rtrecon.training.train import train_encoder
from rtrecon.training.training_data import (
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    add_metadata,
    assemble,
    count_validation_frames,
    split_last,
)

VIDEOS = TEST_DATA / "video"
TRAINING_VIDEOS = "car-detection", "one-by-one-person-detection", "bottle-detection"
TEST_VIDEOS = "bikes", "carphone_pristine", "nasa_13013"
_N_TEST_SCENES, _TEST_FRAMES = 2, 300  # generated clips, and frames of every clip
TEST_CLIPS = *TEST_VIDEOS, *(f"scene{k}" for k in range(_N_TEST_SCENES))
# Seeds of movies and noise.
_TRAINING_SEED, _VALIDATION_SEED, _TEST_SEED, _CALIBRATION_SEED = 100, 200, 9000, 10_000
_CALIBRATION_FRAMES = 3000
FORMS: tuple[EncoderForm, ...] = "compact", "convolutional"
FAMILIES = {
    "sensorium": f"sensorium:{TEST_DATA / 'real_mouse' / 'sensorium_sota_model.pth'}",
    "random-cnn": "random-cnn",
    "simulated": "simulated",
}


@dataclass(frozen=True)
class SessionPlan:
    """Which neurons, how many, and for how many minutes an encoder is trained."""

    family: str
    n_neurons: int = 1000
    minutes: float = 20.0
    epochs: int = 12
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder in the cache."""
        return f"{self.family}-{self.n_neurons}-{self.minutes:g}min"


@dataclass(frozen=True)
class Recording:
    """One trial, by frame: movie uint8 (T, 36, 64), behavior (T, 4), (T, n) others.

    rate: expected spikes, given movie and behavior. arousal: (T,).
    """

    movie: Array
    behavior: Array
    arousal: Array
    rate: Array
    activity: Array

    def slice_frames(self, start: int, stop: int) -> Recording:
        """Return frames start to stop."""
        frames = slice(start, stop)
        return Recording(*(values[frames] for values in vars(self).values()))

    def append(self, other: Recording) -> Recording:
        """Return the frames of this trial, followed by those of another one."""
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return Recording(*(np.concatenate(pair) for pair in both))

    def select_neurons(self, n_neurons: int) -> Recording:
        """Return the first neurons alone."""
        chosen = self.rate[:, :n_neurons], self.activity[:, :n_neurons]
        return Recording(self.movie, self.behavior, self.arousal, *chosen)

    def standardize_behavior(self, mean: Tensor, sd: Tensor) -> Recording:
        """Return it with behavior in s.d. from the mean (4,); NaN becomes 0."""
        scaled = (torch.from_numpy(self.behavior) - mean) / sd
        return replace(self, behavior=scaled.nan_to_num().numpy())

    def to_clip(self, name: str) -> Clip:
        """Return it as the offline methods take it."""
        return Clip(
            name=name,
            target=InversionTarget(self.activity, self.behavior),
            stimulus=self.movie.astype(np.float32),
            neuron_ids=np.arange(self.activity.shape[1]),
            rate_hz=RATE_HZ,
        )


class SubjectSession:
    """The sessions and encoders of one plan; makes what the cache lacks."""

    def __init__(self, plan: SessionPlan, cache: Path, progress: Progress) -> None:
        self.plan = plan
        self.folder = cache / plan.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._cache, self._progress = cache, progress
        self._bar = progress.add_task(plan.name, total=1.0)

    @cached_property
    def subject(self) -> Subject:
        """The neurons."""
        calibration = make_natural_movie(
            _CALIBRATION_FRAMES, _CALIBRATION_SEED + self.plan.seed
        )
        options = SubjectOptions(
            subject=FAMILIES[self.plan.family],
            n_neurons=self.plan.n_neurons,
            mouse_seed=self.plan.seed,
        )
        return make_subject(options, calibration)

    @cached_property
    def visual_field(self) -> Array:
        """Return the pixels where the neurons look, bool (36, 64).

        The subject's field is a mean square; sensitivity is its root.
        """
        path = self.folder / "field.npy"
        if not path.exists():
            np.save(path, self.subject.map_seen_field())
        return select_visual_field(np.sqrt(np.load(path)))

    @cached_property
    def training(self) -> Recording:
        """Scenes and videos that encoders and decoders are fitted to."""
        return self._load_recording("training")

    @cached_property
    def validation(self) -> Recording:
        """Scenes that the training session does not show."""
        return self._load_recording("validation")

    @cached_property
    def tests(self) -> list[Recording]:
        """The test clips; each begins with a gray screen."""
        return [self._load_recording(f"test-{name}") for name in TEST_CLIPS]

    @property
    def test_clips(self) -> list[Clip]:
        """The test clips as the offline methods take them."""
        return [each.to_clip(f"clip {k}") for k, each in enumerate(self.tests)]

    @property
    def training_clips(self) -> list[Clip]:
        """The session that decoders are fitted to, cut into clips of five seconds."""
        session = self._take_session(round(self.plan.minutes * 60 * RATE_HZ))
        starts = range(0, len(session.movie) - CLIP_FRAMES + 1, CLIP_FRAMES)
        return [
            session.slice_frames(start, start + CLIP_FRAMES).to_clip(f"{start}")
            for start in starts
        ]

    def _take_session(self, n_frames: int) -> Recording:
        """Return a session of so many frames: training, then validation."""
        n_validation = count_validation_frames(n_frames)
        return self.training.slice_frames(0, n_frames - n_validation).append(
            self.validation.slice_frames(0, n_validation)
        )

    def load_encoder(self, form: EncoderForm) -> Checkpoint:
        """Return the calibrated encoder of a form."""
        path = self.folder / f"{form}.safetensors"
        if not path.exists():
            self._fit(form, path)
        return load_checkpoint(path)

    def assemble_training(self, minutes: float, n_neurons: int) -> TrainingData:
        """Return a session of so many minutes and neurons; see `Segment`.

        The last tenth of the frames validates.
        """
        n_frames = round(minutes * 60 * RATE_HZ)
        recorded = self._take_session(n_frames).select_neurons(n_neurons)
        whole = Segment(recorded.movie, recorded.behavior, recorded.activity)
        n_validation = count_validation_frames(n_frames)
        first, last = split_last([whole], n_validation)
        rois = build_unit_roi_set(np.arange(n_neurons))
        data = assemble(
            SegmentSource(first, n_frames),
            SegmentSource(last, n_frames),
            TrainedNeurons(rois, np.zeros((1, *rois.shape), np.float32)),
        )
        validated = recorded.slice_frames(n_frames - n_validation, n_frames)
        ceiling = correlate_columns(validated.activity, validated.rate)
        return add_metadata(data, ceiling, rate_hz=RATE_HZ)

    def _fit(self, form: EncoderForm, path: Path) -> None:
        train_encoder(
            self.assemble_training(self.plan.minutes, self.plan.n_neurons),
            TrainingRecipe(epochs=self.plan.epochs),
            path,
            self._report_progress,
            TrainingOptions(encoder_form=form),
        )

    def _load_recording(self, name: str) -> Recording:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            self._report_progress("simulating", 0.0, name)
            movie, seed = self._make_movie(name)
            recorded = self._record(movie, seed)
            np.savez(path, allow_pickle=False, **vars(recorded))
        with np.load(path) as stored:
            return Recording(**stored)

    def _make_movie(self, name: str) -> tuple[Array, int]:
        """Return the movie of a recording, and the seed of its noise."""
        if name == "training":
            n_frames = round(self.plan.minutes * 60 * RATE_HZ)
            folders = MovieFolders(videos=self._link_training_videos())
            made = make_training_movie(folders, n_frames, _TRAINING_SEED, CLIP_FRAMES)
            return made.movie, _TRAINING_SEED
        if name == "validation":
            n_frames = count_validation_frames(round(self.plan.minutes * 60 * RATE_HZ))
            return make_natural_movie(n_frames, _VALIDATION_SEED), _VALIDATION_SEED
        if name.startswith("test-scene"):
            seed = _TEST_SEED + int(name.removeprefix("test-scene"))
            return make_natural_movie(_TEST_FRAMES, seed), seed
        video = name.removeprefix("test-")
        movie = read_clip(VIDEOS / f"{video}.mp4", SHAPE, RATE_HZ)[:_TEST_FRAMES]
        return movie, _TEST_SEED + 100 + TEST_VIDEOS.index(video)

    def _link_training_videos(self) -> Path:
        folder = self._cache / "training_videos"
        folder.mkdir(exist_ok=True)
        for name in TRAINING_VIDEOS:
            link = folder / f"{name}.mp4"
            if not link.exists():
                link.symlink_to((VIDEOS / link.name).resolve())
        return folder

    def _record(self, movie: Array, seed: int) -> Recording:
        rng = np.random.default_rng([seed, 7])
        behavior = simulate_behavior(len(movie), RATE_HZ, rng)
        trial = simulate_trial(self.subject, movie, behavior, seed)
        measured = behavior.stack_measured().astype(np.float32)
        arousal = behavior.arousal.astype(np.float32)
        return Recording(
            movie, measured, arousal, trial.rate.astype(np.float32), trial.spikes
        )

    def _report_progress(self, stage: str, fraction: float, detail: str) -> None:
        text = f"{self.plan.name}, {stage}: {detail}"
        self._progress.update(self._bar, completed=fraction, description=text)
