"""How the tips of simulated neurites grow, turn, branch, touch, rest and retract."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.dish.neuron import Neurite, Neuron, TipState, point_at

# Chance per time step that a tip changes its state: (state, chance of each next one).
_NEXT_STATES: dict[TipState, tuple[tuple[TipState, float], ...]] = {
    TipState.GROWING: ((TipState.RESTING, 0.09), (TipState.RETRACTING, 0.05)),
    TipState.RESTING: ((TipState.GROWING, 0.33), (TipState.RETRACTING, 0.07)),
    TipState.RETRACTING: ((TipState.GROWING, 0.20), (TipState.RESTING, 0.10)),
    TipState.HOLDING: ((TipState.RETRACTING, 0.015),),
}
_MARGIN_PX = 3
_SENSED_PX = 2.5  # a tip senses other neurons so far ahead
_HOLD_CHANCE = 0.65  # else it crosses
_AVOID_CHANCE, _AVOID_ANGLE = 0.3, 0.9  # of the neuron's own neurites
_TURN_SD = 0.10  # per px
_FORGET_CHANCE = 0.02  # per px, of the neuron that it has crossed
_BRANCH_CHANCE, _MIN_BRANCH_PX = 0.035, 25
_OWN_MARGIN_POINTS = 12  # the stem may lie near the body


class TipGrowth:
    """Moves the tips of one neuron by one time step.

    occupancy: int32 (side, side), the number of the neuron at each pixel, or 0.
    """

    def __init__(
        self, occupancy: Array, growth_px: float, rng: np.random.Generator
    ) -> None:
        self._occupancy, self._growth_px, self._rng = occupancy, growth_px, rng

    def move_tips(self, neuron: Neuron) -> None:
        """Let each tip of a living neuron do what its state asks for."""
        for tip in [neurite for neurite in neuron.neurites if neurite.is_tip]:
            tip.state = self._choose_state(tip.state)
            if tip.state is TipState.GROWING:
                self._grow(neuron, tip)
            elif tip.state is TipState.RETRACTING:
                self._retract(neuron, tip)

    def _choose_state(self, state: TipState) -> TipState:
        chance = self._rng.random()
        for next_state, share in _NEXT_STATES[state]:
            if chance < share:
                return next_state
            chance -= share
        return state

    def _grow(self, neuron: Neuron, tip: Neurite) -> None:
        for _ in range(self._rng.poisson(self._growth_px)):
            tip.heading += self._rng.normal(0, _TURN_SD)
            point = tip.points[-1] + point_at(tip.heading)
            if not self._is_inside(point):
                tip.state, tip.heading = TipState.RESTING, tip.heading + 0.6 * np.pi
                return
            tip.points.append(point)
            tip.path_px.append(tip.path_px[-1] + 1)
            if self._touch(neuron, tip):
                return
        is_long = min(len(tip.points), tip.path_px[-1]) > _MIN_BRANCH_PX
        if is_long and self._rng.random() < _BRANCH_CHANCE:
            self._branch(neuron, tip)

    def _touch(self, neuron: Neuron, tip: Neurite) -> bool:
        """Return whether the tip stops because it met another neuron."""
        met = self._sense(tip)
        if met and met != neuron.number and tip.met != met:
            tip.met = met
            if self._rng.random() < _HOLD_CHANCE:
                tip.state = TipState.HOLDING
                return True
        elif met == neuron.number and len(tip.points) > _OWN_MARGIN_POINTS:
            if self._rng.random() < _AVOID_CHANCE:
                tip.heading += self._rng.choice([-1, 1]) * _AVOID_ANGLE
        elif not met and self._rng.random() < _FORGET_CHANCE:
            tip.met = 0
        return False

    def _sense(self, tip: Neurite) -> int:
        ahead = tip.points[-1] + _SENSED_PX * point_at(tip.heading)
        row, col = np.clip(np.rint(ahead).astype(int), 0, len(self._occupancy) - 1)
        return int(self._occupancy[row, col])

    def _branch(self, neuron: Neuron, tip: Neurite) -> None:
        spread = self._rng.uniform(0.35, 0.8)
        for side in (-1, 1):
            heading = tip.heading + side * spread * self._rng.uniform(0.4, 1)
            child = Neurite([tip.points[-1]], [tip.path_px[-1]], heading, tip)
            tip.children.append(child)
            neuron.neurites.append(child)

    def _retract(self, neuron: Neuron, tip: Neurite) -> None:
        n_lost = min(int(self._rng.poisson(self._growth_px)), len(tip.points) - 2)
        if n_lost > 0:
            del tip.points[-n_lost:], tip.path_px[-n_lost:]
        if len(tip.points) <= 3 and tip.parent is not None:
            tip.parent.children.remove(tip)
            tip.parent.state = TipState.RESTING
            neuron.neurites.remove(tip)

    def _is_inside(self, point: Array) -> bool:
        side = len(self._occupancy)
        return bool(_MARGIN_PX < point.min() <= point.max() < side - _MARGIN_PX)
