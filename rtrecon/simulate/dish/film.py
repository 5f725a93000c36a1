"""The film of a simulated dish: pictures one after the other, each with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.dish.culture import Culture
from rtrecon.simulate.dish.optics import DishCamera
from rtrecon.simulate.dish.scene import Defect, DishScene
from rtrecon.simulate.dish.truth import DishTruth, describe_culture

_JITTER_PX = 0.8  # of the stage, per frame; it does not add up
_FIRST_BAD_FRAME = 8


@dataclass(frozen=True)
class SimulatedFrame:
    """A picture, uint16 (side, side), its time in s, what is wrong, and its truth."""

    image: Array
    t_s: float
    defect: Defect
    truth: DishTruth


def film_dish(
    scene: DishScene, defect: Defect = Defect.OUT_OF_FOCUS
) -> Iterator[SimulatedFrame]:
    """Yield the frames of a film; some have the defect, none of the first eight."""
    culture, camera = Culture(scene), DishCamera(scene)
    rng = np.random.default_rng((scene.seed, 2))
    drifts = _draw_drift(scene, rng)
    bad = _choose_bad_frames(scene, rng)
    for k in range(scene.n_frames):
        for _ in range(scene.steps_per_frame if k else 0):
            culture.advance()
        drift_px = (float(drifts[k, 0]), float(drifts[k, 1]))
        found = defect if k in bad else Defect.NONE
        image = camera.take(culture, drift_px, found)
        truth = describe_culture(culture, drift_px)
        yield SimulatedFrame(image, k * scene.interval_s, found, truth)


def _draw_drift(scene: DishScene, rng: np.random.Generator) -> Array:
    """Return (n_frames, 2) shifts (y, x) in px; the first is zero."""
    steps = rng.normal(0, scene.drift_px, (scene.n_frames, 2))
    jitter = rng.normal(0, _JITTER_PX if scene.drift_px else 0, (scene.n_frames, 2))
    drifts: Array = np.cumsum(steps, axis=0) + jitter
    return drifts - drifts[0]


def _choose_bad_frames(scene: DishScene, rng: np.random.Generator) -> set[int]:
    candidates = np.arange(_FIRST_BAD_FRAME, scene.n_frames)
    n_bad = min(scene.n_bad_frames, len(candidates))
    return set(rng.choice(candidates, n_bad, replace=False).tolist())
