"""Simulated mice to compare inversions on: encoders, training clips, unseen clips.

    python benchmarks/mice.py [--cache FOLDER] [--plan whole|more|quick]

Each mouse is imaged twice, frame by frame through the code that runs live: a training
session, to which encoders and decoders are fitted, and a test session of other movies.
Everything follows from seeds and is stored in the cache; a second run reads it there.
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
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import ImagedMouse, make_imaged_mouse, simulate_session
from rtrecon.training.compact.fit import TrainingRecipe

Pair = tuple[float, float]
CACHE = Path(__file__).parent / "cache"
CLIP_FRAMES = training.CLIP_FRAMES  # five seconds; every movie is made of such clips
_TRAINING_SEED, _TUNING_SEED, _TEST_SEED = 100, 5000, 9000  # of movies and noise
_N_TUNING_CLIPS = 8
Stimuli = dict[str, Callable[[int], Array]]  # n frames -> (n, 36, 64) uint8


def _unusual(
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


UNUSUAL = _unusual(stimuli.NOISE_SCALES, stimuli.GRATINGS, _TEST_SEED, angle=0.6)
# To choose parameters with; others than those of the test.
_NOISES: tuple[Pair, ...] = (3.0, 1.0), (2.0, 6.0), (6.0, 3.0)
_GRATINGS: tuple[Pair, ...] = (0.02, 5.0), (0.045, 3.0), (0.09, 1.2), (0.14, 3.0)
UNUSUAL_TO_TUNE = _unusual(_NOISES, _GRATINGS, _TUNING_SEED, angle=1.9)
_SETTLE_CLIPS = 2  # dropped at a session's start, while baselines settle


@dataclass(frozen=True)
class Plan:
    """One mouse: its seed and size, recording time, and the number of encoders.

    Without encoders only its activity is used. Encoders of one mouse differ in the seed
    of their fit. n_published: clips that the published protocol runs on, whose time
    grows with the neurons; 0 = all.
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


WHOLE = (
    Plan("A", seed=0, n_models=7),
    Plan("B", seed=1, n_models=0),
)
MORE = (
    Plan("A", seed=0, n_models=7),
    Plan("B", seed=1),
    Plan("C", seed=2, n_neurons=4000, side_px=1024, minutes=12.0, n_published=4),
)
QUICK = (
    Plan("a", seed=0, n_neurons=300, side_px=288, minutes=6.0, n_models=2, n_clips=3),
    Plan("b", seed=1, n_neurons=300, side_px=288, n_models=0, n_clips=3),
)
PLANS = {"whole": WHOLE, "more": MORE, "quick": QUICK}


@dataclass(frozen=True)
class Subject:
    """A mouse with everything that belongs to it.

    training, test: clips with their stimulus; without encoders, no training. unusual:
    of the first mouse, clips of stimuli unlike all movies, see `UNUSUAL`. rate:
    (clips, T, n) expected spikes per frame: what a perfect encoder would predict.
    """

    plan: Plan
    encoders: list[Checkpoint]
    training: list[Clip]
    test: list[Clip]
    unusual: list[Clip]
    rate: Array


def prepare(plan: Plan, cache: Path, progress: Progress) -> Subject:
    """Return a mouse with all that belongs to it; make what is not in the cache."""
    folder = cache / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    made = _MouseCache(plan, folder, progress)
    test = _cut(made.test())[: plan.n_clips]
    return Subject(
        plan=plan,
        encoders=[made.encoder(k) for k in range(plan.n_models)],
        training=_clips(_cut(made.training())) if plan.n_models else [],
        test=_clips(test),
        unusual=_clips(_cut(made.unusual())) if plan.n_models > 1 else [],
        rate=np.stack([clip["rate"] for clip in test]),
    )


def tuning_clips(
    plan: Plan, cache: Path, progress: Progress
) -> tuple[list[Clip], list[Clip]]:
    """Return clips to choose parameters with: movies and unusual stimuli."""
    made = _MouseCache(plan, cache / plan.name, progress)
    return _clips(_cut(made.tuning())), _clips(_cut(made.unusual_to_tune()))


class _MouseCache:
    """Makes what a mouse needs and stores it in its folder."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        self._plan, self._folder = plan, folder
        self._bar = progress.add_task(f"mouse {plan.name}", total=1.0)
        self._progress = progress
        self._world: ImagedMouse | None = None
        self._settings = Settings()

    def training(self) -> dict[str, Array]:
        return self._recorded("training", self._n_training_clips(), _TRAINING_SEED)

    def test(self) -> dict[str, Array]:
        n_clips = _SETTLE_CLIPS + self._plan.n_clips
        return self._recorded("test", n_clips, _TEST_SEED)

    def tuning(self) -> dict[str, Array]:
        n_clips = _SETTLE_CLIPS + _N_TUNING_CLIPS
        return self._recorded("tuning", n_clips, _TUNING_SEED)

    def unusual(self) -> dict[str, Array]:
        return self._shown("unusual", UNUSUAL, _TEST_SEED)

    def unusual_to_tune(self) -> dict[str, Array]:
        return self._shown("unusual_to_tune", UNUSUAL_TO_TUNE, _TUNING_SEED)

    def _shown(self, name: str, stimuli: Stimuli, seed: int) -> dict[str, Array]:
        path = self._folder / f"{name}.npz"
        if not path.exists():
            shown = [stimulus(CLIP_FRAMES) for stimulus in stimuli.values()]
            settling = self._movie(_SETTLE_CLIPS, seed)[: _SETTLE_CLIPS * CLIP_FRAMES]
            # Deconvolution lags behind: the last frames belong to no clip.
            self._record(path, np.concatenate([settling, *shown, shown[-1]]), seed)
        return self._kept(path)

    def encoder(self, number: int) -> Checkpoint:
        path = self._folder / f"encoder{number}.safetensors"
        if not path.exists():
            self._fit(number, path)
        return load_checkpoint(path)

    def _n_training_clips(self) -> int:
        return round(self._plan.minutes * 60 * RATE_HZ / CLIP_FRAMES)

    def _movie(self, n_clips: int, seed: int) -> Array:
        # A little longer: deconvolution lags behind, so the last frames are lost.
        lag_frames = self._settings.traces.deconvolution_lag_frames
        return make_natural_movie(n_clips * CLIP_FRAMES + lag_frames, seed, CLIP_FRAMES)

    def _recorded(self, name: str, n_clips: int, seed: int) -> dict[str, Array]:
        path = self._folder / f"{name}.npz"
        if not path.exists():
            self._record(path, self._movie(n_clips, seed), seed)
        return self._kept(path)

    @staticmethod
    def _kept(path: Path) -> dict[str, Array]:
        with np.load(path) as kept:
            return dict(kept)

    def _record(self, path: Path, movie: Array, seed: int) -> None:
        session = simulate_session(self._grown(), movie, path.stem, seed)
        acquired = training.acquire_session(
            self._grown(), session, self._settings, self._report_progress
        )
        known = len(acquired.activity)
        np.savez(
            path,
            movie=movie[:known],
            activity=acquired.activity.astype(np.float32),
            behavior=session.behavior.stack_measured()[:known],
            rate=session.response.rate[:known].astype(np.float32),
            template=acquired.template,
        )

    def _fit(self, number: int, path: Path) -> None:
        plan, kept = self._plan, self.training()
        movie = self._movie(self._n_training_clips(), _TRAINING_SEED)
        session = simulate_session(self._grown(), movie, "training", _TRAINING_SEED)
        acquired = training.AcquiredSession(session, kept["template"], kept["activity"])
        recipe = TrainingRecipe(epochs=plan.epochs, seed=number)
        origin = {"benchmark": {"mouse": plan.seed, "model": number}}
        training.train_on_acquired(
            acquired, recipe, self._settings, path, self._report_progress, origin
        )

    def _grown(self) -> ImagedMouse:
        if self._world is None:
            plan = self._plan
            self._world = make_imaged_mouse(plan.n_neurons, plan.side_px, plan.seed)
        return self._world

    def _report_progress(self, stage: str, share: float, word: str) -> None:
        text = f"mouse {self._plan.name}, {stage}: {word}"
        self._progress.update(self._bar, completed=share, description=text)


def _cut(recorded: dict[str, Array]) -> list[dict[str, Array]]:
    """Cut a recording into whole clips; drop those in which baselines settle."""
    per_frame = {k: v for k, v in recorded.items() if k != "template"}
    n_clips = len(per_frame["activity"]) // CLIP_FRAMES
    return [
        {k: v[i * CLIP_FRAMES : (i + 1) * CLIP_FRAMES] for k, v in per_frame.items()}
        for i in range(_SETTLE_CLIPS, n_clips)
    ]


def _clips(parts: list[dict[str, Array]]) -> list[Clip]:
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
    """Make everything that is not in the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--plan", choices=PLANS, default="whole")
    given = parser.parse_args()
    with Progress() as progress:
        for plan in PLANS[given.plan]:
            prepare(plan, given.cache, progress)


if __name__ == "__main__":
    main()
