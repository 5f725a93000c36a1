"""What inversion needs besides the encoder, tried out on clips kept for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rtrecon.config import InvertSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Calibration
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.protocol import LiveEncoder
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.live.inverter import LiveInverter, Problem
from rtrecon.inversion.live.prior_strength import settled
from rtrecon.training.compact.data import Data
from rtrecon.training.score import dispersion
from rtrecon.training.training_data import Material

TEMPERATURES = (0.125, 0.25, 0.5, 1.0)
_FRAMES = 900
_STEPS = 6  # per hop; about what a live inversion has time for

Report = Callable[[str, float, str], None]  # stage, share done 0..1, a word more


def calibrate(
    encoder: LiveEncoder, prior: Prior, material: Material, report: Report
) -> Calibration:
    """Choose the temperature that inverts the validation clips best."""
    spread = dispersion(encoder, material.validation)
    clips = material.validation.part(0, _FRAMES)
    tried: list[tuple[float, float, _Found]] = []
    for count, temperature in enumerate(TEMPERATURES):
        problem = Problem(encoder, prior, temperature / spread)
        told = partial(_tell, report, count, f"temperature {temperature}")
        found = _inverted(problem, clips, told)
        tried.append((found.r, temperature, found))
        told(1.0, f": pixel r {found.r:.3f}")
    _, temperature, best = max(tried, key=lambda each: each[0])
    return Calibration(
        dispersion=spread,
        behavior_mean=material.behavior_mean,
        behavior_sd=material.behavior_sd,
        identifiability=torch.from_numpy(best.explained()),
        heard=best.heard,
        temperature=temperature,
    )


@dataclass(frozen=True)
class _Found:
    """shown, made: (T, 36, 64). heard (n_coef,): power of the innovations found."""

    shown: Array
    made: Array
    heard: Tensor

    @property
    def r(self) -> float:
        return float(np.corrcoef(self.shown.ravel(), self.made.ravel())[0, 1])

    def explained(self) -> Array:
        """Return (36, 64) 0..1: share of each pixel's variance that was recovered."""
        left_over = ((self.shown - self.made) ** 2).mean(0)
        explained = 1 - left_over / self.shown.var(0)
        return np.clip(explained, 0, 1).astype(np.float32).reshape(SHAPE)


def _inverted(problem: Problem, data: Data, told: Callable[[float], None]) -> _Found:
    """Invert live, but for the clock."""
    live = InvertSettings()
    window, hop = live.window_frames, live.hop_frames
    inverter = LiveInverter(problem, window)
    left, heard, low = list[Tensor](), list[Tensor](), spectrum()
    for start in range(0, len(data) - hop + 1, hop):
        part = data.part(start, start + hop)
        left.append(inverter.advance(part.activity, part.behavior))
        for step in range(_STEPS):
            inverter.step(step / (_STEPS - 1))
        frames, squares = settled(inverter.z, inverter.information_fraction())
        heard.append((squares / frames.clamp_min(1.0)).cpu())
        told(start / len(data))
    made = low.to_pixels(torch.cat(left)[window + MEMORY :])
    shown = low.to_pixels(data.coef[MEMORY : MEMORY + len(made)])
    return _Found(shown, made, torch.stack(heard)[window // hop :].mean(0))


def _tell(
    report: Report, count: int, tried: str, share: float, found: str = ""
) -> None:
    report("calibrating", (count + share) / len(TEMPERATURES), tried + found)
