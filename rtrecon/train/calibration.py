"""What inversion needs besides the encoder, tried out on clips kept for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from rtrecon.config import InvertSettings
from rtrecon.encoder.checkpoint import Calibration
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.data import Data
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.protocol import LiveEncoder
from rtrecon.encoder.score import dispersion
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.invert.live import LiveInverter, Problem
from rtrecon.train.material import Material
from rtrecon.wire import Array

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
    tried = []
    for count, temperature in enumerate(TEMPERATURES):
        problem = Problem(encoder, prior, temperature / spread)
        told = partial(_tell, report, count, f"temperature {temperature}")
        shown, made = _inverted(problem, clips, told)
        r = float(np.corrcoef(shown.ravel(), made.ravel())[0, 1])
        tried.append((r, temperature, _explained(shown, made)))
        told(1.0, f": pixel r {r:.3f}")
    _, temperature, identifiability = max(tried, key=lambda found: found[0])
    return Calibration(
        dispersion=spread,
        behavior_mean=material.behavior_mean,
        behavior_sd=material.behavior_sd,
        identifiability=torch.from_numpy(identifiability),
        temperature=temperature,
    )


def _inverted(
    problem: Problem, data: Data, told: Callable[[float], None]
) -> tuple[Array, Array]:
    """Return (shown, made), each (T, 36, 64), of a live inversion without a clock."""
    live = InvertSettings()
    window, hop = live.window_frames, live.hop_frames
    inverter = LiveInverter(problem, window)
    left, low = [], spectrum()
    for start in range(0, len(data) - hop + 1, hop):
        part = data.part(start, start + hop)
        left.append(inverter.advance(part.activity, part.behavior))
        for step in range(_STEPS):
            inverter.step(step / (_STEPS - 1))
        told(start / len(data))
    made = low.to_pixels(torch.cat(left)[window + MEMORY :])
    shown = low.to_pixels(data.coef[MEMORY : MEMORY + len(made)])
    return shown, made


def _tell(
    report: Report, count: int, tried: str, share: float, found: str = ""
) -> None:
    report("calibrating", (count + share) / len(TEMPERATURES), tried + found)


def _explained(shown: Array, made: Array) -> Array:
    """Return (36, 64) 0..1: share of each pixel's variance that was recovered."""
    left_over = ((shown - made) ** 2).mean(0)
    explained = 1 - left_over / shown.var(0)
    return np.clip(explained, 0, 1).astype(np.float32).reshape(SHAPE)
