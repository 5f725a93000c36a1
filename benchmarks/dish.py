"""Measures the tracing of neurons in a dish: `make bench-dish`.

Simulated films have seeds on which nothing was chosen: the constants of the tracing
were chosen on seeds below 100. The real film is measured if the test data are there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from dish_films import measure_cpu_ms, score_dishes, trace_dish
from dish_peers import score_tracking, time_frangi_ms
from dish_real import measure_real_film
from result_files import describe_machine, write_results

from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene

GOALS = {
    "body_precision": 0.98,
    "body_recall": 0.98,
    "body_link": 0.99,
    "total_length_error": 0.05,
    "length_per_neuron_error": 0.10,
    "centreline_precision": 0.95,
    "centreline_recall": 0.93,
    "owner_share": 0.95,
    "contact_precision": 0.90,
    "contact_recall": 0.80,
    "pair_precision": 0.95,
    "pair_recall": 0.90,
    "event_precision": 0.90,
    "event_recall_6_frames": 0.80,
    "real_precision": 0.75,
    "real_recall": 0.80,
    "real_body_recall": 0.90,
    "real_link": 0.97,
    "ms_512": 150,
    "ms_1024": 300,
    "frangi_share_1024": 1 / 3,
}
_SMALLER_IS_BETTER = ("error", "ms_", "frangi")
_FIRST_SEED = 1000
_N_SEEDS, _N_CURVE_SEEDS = 4, 1
_BRIGHTNESS = (0.2, 0.35, 0.6, 1.0, 2.5)
_DENSITY, _STEPS = (6, 14, 24, 36, 48), (1, 2, 4)
_FIELD_FACTOR = 4  # 1024 px have four times the area
_N_NEURONS, _N_TIMED, _N_FIRST = 14, 30, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter films")
    quick = parser.parse_args().quick
    figures = measure_all(quick)
    path = write_results("dish", figures, quick=quick)
    for name, value in figures["figures"].items():
        if name in GOALS:
            word = "reached" if is_reached(name, value) else "missed"
            print(f"{name:26s} {value:8.3f}   goal {GOALS[name]:.3g} {word}")
    print(f"written to {path}")


def measure_all(quick: bool) -> dict[str, Any]:
    """Return all figures, with goals, curves and what they are measured on."""
    n_seeds, n_curve = (1, 1) if quick else (_N_SEEDS, _N_CURVE_SEEDS)
    base = DishScene(seed=_FIRST_SEED, n_frames=40 if quick else 60)
    scenes = [
        replace(base, seed=_FIRST_SEED + k, brightness=brightness)
        for k in range(n_seeds)
        for brightness in (0.35, 1.0)
    ]
    figures = score_dishes(scenes)
    figures |= measure_real_film() or {}
    figures |= _measure_speed(base, quick)
    tracking = score_tracking(trace_dish(scenes[-1]).bodies)
    return {
        "figures": figures,
        "goals": GOALS,
        "missed": [n for n in GOALS if n in figures and not is_reached(n, figures[n])],
        "tracking_challenge": tracking,
        "curves": _measure_curves(base, n_curve, quick),
        "films": f"{len(scenes)} of {base.n_frames} pictures, {base.side_px} px",
        "machine": describe_machine(),
    }


def is_reached(name: str, value: float) -> bool:
    """Return whether a figure reaches its goal."""
    is_small = any(part in name for part in _SMALLER_IS_BETTER)
    return value <= GOALS[name] if is_small else value >= GOALS[name]


def _measure_speed(base: DishScene, quick: bool) -> dict[str, float]:
    n_frames = _N_TIMED // 2 if quick else _N_TIMED
    figures: dict[str, float] = {}
    for side_px in (512, 1024):
        factor = 1 if side_px == 512 else _FIELD_FACTOR
        scene = replace(
            base,
            side_px=side_px,
            n_neurons=_N_NEURONS * factor,
            n_frames=n_frames,
            n_bad_frames=0,
        )
        parts = measure_cpu_ms(scene, _N_FIRST)
        figures[f"ms_{side_px}"] = round(sum(parts.values()), 1)
        figures |= {f"{name}_ms_{side_px}": ms for name, ms in parts.items()}
    last = list(film_dish(replace(scene, n_frames=2)))[-1].image
    frangi_ms = time_frangi_ms(last)
    if frangi_ms is not None:
        figures["frangi_ms_1024"] = frangi_ms
        figures["frangi_share_1024"] = round(figures["ms_1024"] / frangi_ms, 3)
    return figures


def _measure_curves(base: DishScene, n_seeds: int, quick: bool) -> dict[str, Any]:
    """Return the figures against brightness, density, and the interval."""
    choose = slice(None, None, 2) if quick else slice(None)
    curves: dict[str, dict[str, Any]] = {"brightness": {}, "n_neurons": {}, "steps": {}}
    changes: tuple[tuple[str, str, tuple[float, ...]], ...] = (
        ("brightness", "brightness", _BRIGHTNESS),
        ("n_neurons", "n_neurons", _DENSITY),
        ("steps", "steps_per_frame", _STEPS),
    )
    for curve, name, values in changes:
        for value in values[choose]:
            changed: dict[str, Any] = {name: value}
            if name == "steps_per_frame":
                changed["n_frames"] = base.n_frames // int(value)
            scenes = [
                replace(base, seed=_FIRST_SEED + 100 + k, **changed)
                for k in range(n_seeds)
            ]
            curves[curve][str(value)] = score_dishes(scenes)
    return curves


if __name__ == "__main__":
    main()
