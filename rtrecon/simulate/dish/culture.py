"""The culture of a simulated dish: neurons that crawl, grow and die, and debris."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.dish.growth import TipGrowth
from rtrecon.simulate.dish.neuron import Neuron, make_neuron
from rtrecon.simulate.dish.scene import DishScene

_BODY_MARGIN_PX, _MIN_DISTANCE_PX, _WALL_PX = 30, 45.0, 20
_MAX_TRIES = 20_000
_PERSISTENCE, _SLOW_PX, _FAST_PX = 0.85, 0.06, 0.35
_YOUNG_STEPS = 25  # fast neurons crawl slowly afterwards
_REPULSION_PX, _BODY_GAP_PX = 0.5, 4.0
_DEBRIS_STEP_PX = 1.0


class Culture:
    """Neurons and debris, in pixels of the field that the first frame shows."""

    def __init__(self, scene: DishScene) -> None:
        self._scene = scene
        self.rng = rng = np.random.default_rng(scene.seed)
        self.step = 0
        centers = _scatter_bodies(scene, rng)
        self.neurons = [make_neuron(k + 1, yx, rng) for k, yx in enumerate(centers)]
        self._choose_deaths()
        n_debris = round(scene.side_px**2 * scene.debris_per_px2)
        self.debris = rng.uniform(0, scene.side_px, (n_debris, 2))
        self.debris_brightness = rng.uniform(0.2, 1.0, n_debris)

    def advance(self) -> None:
        """Let one time step pass."""
        self.step += 1
        living = [n for n in self.neurons if n.is_alive(self.step)]
        for neuron in living:
            neuron.move(self._choose_shift(neuron))
        growth = TipGrowth(self._map_occupancy(), self._scene.growth_px, self.rng)
        for neuron in living:
            growth.move_tips(neuron)
        self.debris += self.rng.normal(0, _DEBRIS_STEP_PX, self.debris.shape)

    def _choose_deaths(self) -> None:
        n_steps = self._scene.n_frames * self._scene.steps_per_frame
        n_deaths = min(self._scene.n_deaths, len(self.neurons))
        chosen = self.rng.choice(len(self.neurons), n_deaths, replace=False)
        for k in chosen:
            last = max(n_steps // 3 + 1, n_steps - 10)
            self.neurons[k].death_step = int(self.rng.integers(n_steps // 3, last))

    def _choose_shift(self, neuron: Neuron) -> Array:
        is_fast = neuron.is_fast and self.step < _YOUNG_STEPS
        sd_px = _FAST_PX if is_fast else _SLOW_PX
        neuron.velocity = _PERSISTENCE * neuron.velocity + self.rng.normal(0, sd_px, 2)
        shift = neuron.velocity.copy()
        for other in self.neurons:
            away = neuron.center - other.center
            distance_px = float(np.hypot(*away))
            reach_px = neuron.radius_px + other.radius_px + _BODY_GAP_PX
            if other is not neuron and 0 < distance_px < reach_px:
                shift += away / distance_px * _REPULSION_PX
        end = neuron.center + shift
        if not _WALL_PX < end.min() <= end.max() < self._scene.side_px - _WALL_PX:
            neuron.velocity = -neuron.velocity
            shift = neuron.velocity.copy()
        return shift

    def _map_occupancy(self) -> Array:
        """Return int32 (side, side): the number of the neuron at each pixel, or 0."""
        side = self._scene.side_px
        occupancy = np.zeros((side, side), np.int32)
        steps = np.arange(-1, 2)
        for neuron in self.neurons:
            for neurite in neuron.neurites:
                rows, cols = np.rint(neurite.points).astype(int).T
                for dy in steps:
                    for dx in steps:
                        at = (
                            np.clip(rows + dy, 0, side - 1),
                            np.clip(cols + dx, 0, side - 1),
                        )
                        occupancy[at] = neuron.number
        for neuron in self.neurons:
            reach = int(neuron.radius_px) + 2
            row, col = np.rint(neuron.center).astype(int)
            top, left = max(0, row - reach), max(0, col - reach)
            window = occupancy[top : row + reach + 1, left : col + reach + 1]
            rows, cols = np.ogrid[: window.shape[0], : window.shape[1]]
            distance = np.hypot(
                rows + top - neuron.center[0], cols + left - neuron.center[1]
            )
            window[distance <= neuron.radius_px + 1] = neuron.number
        return occupancy


def _scatter_bodies(scene: DishScene, rng: np.random.Generator) -> list[Array]:
    """Return distant centers (y, x); fewer if the field is full."""
    centers: list[Array] = []
    for _ in range(_MAX_TRIES):
        if len(centers) == scene.n_neurons:
            break
        candidate = rng.uniform(_BODY_MARGIN_PX, scene.side_px - _BODY_MARGIN_PX, 2)
        if all(np.hypot(*(candidate - c)) > _MIN_DISTANCE_PX for c in centers):
            centers.append(candidate)
    return centers
