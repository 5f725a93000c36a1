"""Simulated mice to compare inversions on: encoders, training clips, unseen clips.

    python benchmarks/simulated_mice.py [--cache FOLDER] [--mice full|two|quick]

Each mouse is imaged twice, frame by frame through the code that runs live: a training
session, to which encoders and decoders are fitted, and a test session of other movies.
Everything follows from seeds and is stored in the cache, from which a second run reads
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import Progress

from rtrecon import training
from rtrecon.analysis.evaluation import stimuli
from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.simulate.imaged_mouse import (
    ImagedMouse,
    ImagedMouseOptions,
    make_imaged_mouse,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import simulate_session
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.training.compact.fit import TrainingRecipe

Pair = tuple[float, float]
CACHE = Path(__file__).parent / "cache"
CLIP_FRAMES = training.CLIP_FRAMES  # five seconds; every movie is made of such clips
_TRAINING_SEED, _TUNING_SEED, _TEST_SEED = 100, 5000, 9000  # of movies and noise
_N_TUNING_CLIPS = 8
Stimuli = dict[str, Callable[[int], Array]]  # n frames -> (n, 36, 64) uint8


def _make_unusual_stimuli(
    noises: Sequence[Pair], gratings: Sequence[Pair], seed: int, angle: float
) -> Stimuli:
    """Return noise and gratings, unlike any movie, with the contrast of movies."""
    return {
        **{
            f"noise {scales[0]:g} px x {scales[1]:g} frames": partial(
                stimuli.make_noise, scales=scales, seed=seed
            )
            for scales in noises
        },
        **{
            f"grating {cycles_per_px:g} cycles/px {drift_hz:g} Hz": partial(
                stimuli.make_grating,
                cycles_per_px=cycles_per_px,
                cycles_per_frame=drift_hz / RATE_HZ,
                angle=angle,
            )
            for cycles_per_px, drift_hz in gratings
        },
    }


UNUSUAL = _make_unusual_stimuli(
    stimuli.NOISE_SCALES, stimuli.GRATINGS, _TEST_SEED, angle=0.6
)
# For choosing parameters: other stimuli than those of the test.
_NOISES: tuple[Pair, ...] = (3.0, 1.0), (2.0, 6.0), (6.0, 3.0)
_GRATINGS: tuple[Pair, ...] = (0.02, 5.0), (0.045, 3.0), (0.09, 1.2), (0.14, 3.0)
UNUSUAL_TO_TUNE = _make_unusual_stimuli(_NOISES, _GRATINGS, _TUNING_SEED, angle=1.9)
_BASELINE_CLIPS = 2  # dropped at a session's start, where baselines still adapt


@dataclass(frozen=True)
class MouseSettings:
    """Settings of one mouse: seed, size, recording time and number of encoders.

    A mouse without encoders only gives its activity. Encoders of one mouse differ in
    the seed of their fit. n_published: number of clips that the published protocol
    runs on, whose time grows with the neurons; 0 = all.
    """

    name: str
    seed: int
    n_neurons: int = 1000
    side_px: int = 512
    minutes: float = 20.0
    n_models: int = 1
    n_clips: int = 10
    n_published: int = 0
    epochs: int = 12


TWO = (
    MouseSettings("A", seed=0, n_models=7),
    MouseSettings("B", seed=1, n_models=0),
)
FULL = (
    MouseSettings("A", seed=0, n_models=7),
    MouseSettings("B", seed=1),
    MouseSettings(
        "C", seed=2, n_neurons=4000, side_px=1024, minutes=12.0, n_published=4
    ),
)
QUICK = (
    MouseSettings(
        "a", seed=0, n_neurons=300, side_px=288, minutes=6.0, n_models=2, n_clips=3
    ),
    MouseSettings("b", seed=1, n_neurons=300, side_px=288, n_models=0, n_clips=3),
)
MOUSE_SETS = {"full": FULL, "two": TWO, "quick": QUICK}


@dataclass(frozen=True)
class MouseData:
    """A mouse with its encoders and clips.

    training, test: clips with their stimulus; training is empty without encoders.
    unusual: of the first mouse, clips of stimuli unlike all movies, see `UNUSUAL`.
    rate: (clips, T, n) expected spikes per frame: what a perfect encoder would predict.
    """

    settings: MouseSettings
    encoders: list[Checkpoint]
    training: list[Clip]
    test: list[Clip]
    unusual: list[Clip]
    rate: Array


def prepare_mouse(mouse: MouseSettings, cache: Path, progress: Progress) -> MouseData:
    """Return a mouse with its encoders and clips; make what the cache lacks."""
    folder = cache / mouse.name
    folder.mkdir(parents=True, exist_ok=True)
    stored = _MouseCache(mouse, folder, progress)
    test = _cut_into_clips(stored.load_test())[: mouse.n_clips]
    return MouseData(
        settings=mouse,
        encoders=[stored.load_encoder(k) for k in range(mouse.n_models)],
        training=_make_clips(stored.load_training()) if mouse.n_models else [],
        test=_convert_clips(test),
        unusual=_make_clips(stored.load_unusual()) if mouse.n_models > 1 else [],
        rate=np.stack([clip["rate"] for clip in test]),
    )


def prepare_tuning_clips(
    mouse: MouseSettings, cache: Path, progress: Progress
) -> tuple[list[Clip], list[Clip]]:
    """Return clips to choose parameters with: movies and unusual stimuli."""
    stored = _MouseCache(mouse, cache / mouse.name, progress)
    return _make_clips(stored.load_tuning()), _make_clips(stored.load_unusual_tuning())


class _MouseCache:
    """Simulates what a mouse needs, and stores it in the mouse's folder."""

    def __init__(self, mouse: MouseSettings, folder: Path, progress: Progress) -> None:
        self._mouse, self._folder = mouse, folder
        self._bar = progress.add_task(f"mouse {mouse.name}", total=1.0)
        self._progress = progress
        self._imaged_mouse: ImagedMouse | None = None
        self._settings = Settings()

    def load_training(self) -> dict[str, Array]:
        return self._load_movie_session(
            "training", self._n_training_clips(), _TRAINING_SEED
        )

    def load_test(self) -> dict[str, Array]:
        n_clips = _BASELINE_CLIPS + self._mouse.n_clips
        return self._load_movie_session("test", n_clips, _TEST_SEED)

    def load_tuning(self) -> dict[str, Array]:
        n_clips = _BASELINE_CLIPS + _N_TUNING_CLIPS
        return self._load_movie_session("tuning", n_clips, _TUNING_SEED)

    def load_unusual(self) -> dict[str, Array]:
        return self._load_stimulus_session("unusual", UNUSUAL, _TEST_SEED)

    def load_unusual_tuning(self) -> dict[str, Array]:
        return self._load_stimulus_session(
            "unusual_to_tune", UNUSUAL_TO_TUNE, _TUNING_SEED
        )

    def _load_stimulus_session(
        self, name: str, stimuli: Stimuli, seed: int
    ) -> dict[str, Array]:
        path = self._folder / f"{name}.npz"
        if not path.exists():
            clips = [stimulus(CLIP_FRAMES) for stimulus in stimuli.values()]
            n_frames = _BASELINE_CLIPS * CLIP_FRAMES
            start = self._make_movie(_BASELINE_CLIPS, seed)[:n_frames]
            # Deconvolution lags behind: the last frames belong to no clip.
            self._record(path, np.concatenate([start, *clips, clips[-1]]), seed)
        return _read_arrays(path)

    def load_encoder(self, number: int) -> Checkpoint:
        path = self._folder / f"encoder{number}.safetensors"
        if not path.exists():
            self._fit(number, path)
        return load_checkpoint(path)

    def _n_training_clips(self) -> int:
        return round(self._mouse.minutes * 60 * RATE_HZ / CLIP_FRAMES)

    def _make_movie(self, n_clips: int, seed: int) -> Array:
        # A little longer: deconvolution lags behind, so the last frames are lost.
        lag_frames = self._settings.traces.deconvolution_lag_frames
        return make_natural_movie(n_clips * CLIP_FRAMES + lag_frames, seed, CLIP_FRAMES)

    def _load_movie_session(
        self, name: str, n_clips: int, seed: int
    ) -> dict[str, Array]:
        path = self._folder / f"{name}.npz"
        if not path.exists():
            self._record(path, self._make_movie(n_clips, seed), seed)
        return _read_arrays(path)

    def _record(self, path: Path, movie: Array, seed: int) -> None:
        session = simulate_session(self._get_imaged_mouse(), movie, path.stem, seed)
        acquired = training.acquire_session(
            self._get_imaged_mouse(), session, self._settings, self._report_progress
        )
        n_frames = len(acquired.activity)
        np.savez(
            path,
            movie=movie[:n_frames],
            activity=acquired.activity.astype(np.float32),
            behavior=session.behavior.stack_measured()[:n_frames],
            rate=session.response.rate[:n_frames].astype(np.float32),
            template=acquired.template,
        )

    def _fit(self, number: int, path: Path) -> None:
        mouse, stored = self._mouse, self.load_training()
        movie = self._make_movie(self._n_training_clips(), _TRAINING_SEED)
        session = simulate_session(
            self._get_imaged_mouse(), movie, "training", _TRAINING_SEED
        )
        acquired = training.AcquiredSession(
            session, stored["template"], stored["activity"]
        )
        recipe = TrainingRecipe(epochs=mouse.epochs, seed=number)
        origin = {"benchmark": {"mouse": mouse.seed, "model": number}}
        training.train_on_acquired(
            acquired, recipe, self._settings, path, self._report_progress, origin
        )

    def _get_imaged_mouse(self) -> ImagedMouse:
        if self._imaged_mouse is None:
            mouse = self._mouse
            subject = SubjectOptions(n_neurons=mouse.n_neurons, mouse_seed=mouse.seed)
            self._imaged_mouse = make_imaged_mouse(
                ImagedMouseOptions(subject, mouse.side_px)
            )
        return self._imaged_mouse

    def _report_progress(self, stage: str, fraction: float, detail: str) -> None:
        text = f"mouse {self._mouse.name}, {stage}: {detail}"
        self._progress.update(self._bar, completed=fraction, description=text)


def _read_arrays(path: Path) -> dict[str, Array]:
    with np.load(path) as arrays:
        return dict(arrays)


def _make_clips(recorded: dict[str, Array]) -> list[Clip]:
    return _convert_clips(_cut_into_clips(recorded))


def _cut_into_clips(recorded: dict[str, Array]) -> list[dict[str, Array]]:
    """Cut a recording into whole clips; drop those where baselines still adapt."""
    per_frame = {k: v for k, v in recorded.items() if k != "template"}
    n_clips = len(per_frame["activity"]) // CLIP_FRAMES
    return [
        {k: v[i * CLIP_FRAMES : (i + 1) * CLIP_FRAMES] for k, v in per_frame.items()}
        for i in range(_BASELINE_CLIPS, n_clips)
    ]


def _convert_clips(parts: list[dict[str, Array]]) -> list[Clip]:
    return [
        Clip(
            name=f"clip {number}",
            target=InversionTarget(part["activity"], part["behavior"]),
            stimulus=part["movie"].astype(np.float32),
            neuron_ids=np.arange(part["activity"].shape[1]),
            rate_hz=RATE_HZ,
        )
        for number, part in enumerate(parts)
    ]


def main() -> None:
    """Simulate everything that the cache lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--mice", choices=MOUSE_SETS, default="full")
    arguments = parser.parse_args()
    with Progress() as progress:
        for mouse in MOUSE_SETS[arguments.mice]:
            prepare_mouse(mouse, arguments.cache, progress)


if __name__ == "__main__":
    main()
