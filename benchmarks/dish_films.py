"""Films of simulated dishes that benchmarks trace, and how they are traced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import process_time

import numpy as np
from dish_scores import DishScore, FilmScorer

from rtrecon.config.dish import DishSettings
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.registration.film_registrar import FilmRegistrar
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from rtrecon.simulate.dish.truth import DishTruth


@dataclass
class TracedDish:
    """A traced film. cpu_ms: of registering and of tracing, per frame.

    pairs: what each frame shows, and its truth. Images of owners are left out.
    """

    scene: DishScene
    score: DishScore
    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    bodies: list[tuple[Array, Array]] = field(default_factory=list)
    n_dense: int = 0


def trace_dish(scene: DishScene) -> TracedDish:
    """Film, register and trace a simulated dish."""
    registrar, scorer = FilmRegistrar(), FilmScorer(scene.um_per_px)
    interval_s = scene.interval_s * scene.steps_per_frame
    settings = DishSettings(um_per_px=scene.um_per_px, interval_s=interval_s)
    tracker = DishTracker(settings)
    traced = TracedDish(scene, scorer.score, {"register": [], "trace": []})
    for frame in film_dish(scene):
        start_s = process_time()
        picture = registrar.register(frame.image)
        registered_s = process_time()
        found = tracker.process_frame(picture.image, picture.is_valid)
        traced.cpu_ms["register"].append(1e3 * (registered_s - start_s))
        traced.cpu_ms["trace"].append(1e3 * (process_time() - registered_s))
        traced.n_dense += found.is_dense
        scorer.add_frame(found, frame.truth)
        traced.bodies.append(_list_bodies(found, frame.truth))
    scorer.finish()
    return traced


def score_dishes(scenes: Iterable[DishScene]) -> dict[str, float]:
    """Return the figures of several films together."""
    total: DishScore | None = None
    for scene in scenes:
        score = trace_dish(scene).score
        if total is None:
            total = score
        else:
            total.add(score)
    return total.report() if total else {}


def measure_cpu_ms(scene: DishScene, n_first: int) -> dict[str, float]:
    """Return the median cpu ms per frame, after the first frames."""
    cpu_ms = trace_dish(scene).cpu_ms
    parts = {name: float(np.median(v[n_first:])) for name, v in cpu_ms.items()}
    return {name: round(value, 1) for name, value in parts.items()}


def _list_bodies(found: DishFrame, truth: DishTruth) -> tuple[Array, Array]:
    """Return (n, 3) number, y, x that were found, and the same of the truth."""
    names = ("number", "y", "x")
    rows = np.column_stack([found.bodies[name] for name in names])
    return (rows if found.is_traced else rows[:0]), truth.bodies[:, :3]
