"""The simulated neurons of sound and touch as encoders, written in torch.

An inversion of them is limited by noise, prior and optimiser, and by no training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from cpu_encoder import CpuEncoder
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.simulate.auditory.cortex import AuditoryCortex
from rtrecon.simulate.sensory_session import SensorySession
from rtrecon.simulate.tactile.cortex import BarrelCortex
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL, StimulusSpace
from rtrecon.stimulus_space.touch import TOUCH

_MIN_RATE = 1e-5
_PAST_FRAMES = 60  # of the sound's forward suppression; receptive fields need 11


@dataclass(frozen=True)
class TrueSensoryEncoder(CpuEncoder):
    """A `LiveEncoder`: the true rates of simulated neurons, in spikes per bin.

    gain (T, 1): the neurons' shared gain in the window's frames, as it was.
    """

    subject: AuditoryCortex | BarrelCortex
    space: StimulusSpace
    gain: Tensor
    past_frames: int = _PAST_FRAMES

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.subject.n_neurons

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) rates of frames (past_frames + T, C); see `LiveEncoder`."""
        vectors = make_dct_basis(self.space).vectors
        levels = frames @ vectors * CONTRAST_LEVELS + MIDDLE_LEVEL
        if isinstance(self.subject, AuditoryCortex):
            rates = _compute_auditory_rates(self.subject, levels)
        else:
            rates = _compute_tactile_rates(self.subject, levels)
        return rates[self.past_frames :] * self.gain + _MIN_RATE


def make_true_encoder(
    subject: AuditoryCortex | BarrelCortex, session: SensorySession
) -> TrueSensoryEncoder:
    """Return the encoder for a session, whose shared gain is then known."""
    is_sound = isinstance(subject, AuditoryCortex)
    space = SOUND if is_sound else TOUCH
    levels = torch.from_numpy(session.levels.reshape(len(session.levels), -1)).double()
    compute = _compute_auditory_rates if is_sound else _compute_tactile_rates
    quiet = levels[:1].expand(_PAST_FRAMES, -1)
    rates = compute(subject, torch.cat([quiet, levels]))[_PAST_FRAMES:]  # type: ignore[arg-type]
    gain = torch.from_numpy(session.rates).sum(1) / rates.sum(1)
    return TrueSensoryEncoder(subject, space, gain[:, None].float())


def _compute_auditory_rates(subject: AuditoryCortex, levels: Tensor) -> Tensor:
    """Return rates (T, n) of levels (T, 24); the first ones lack their past."""
    spectrum = (levels - 85.0) / 50.0
    fields = _as_tensor(subject.fields, levels)  # (n, lags, bands)
    n_lags = fields.shape[1]
    padded = F.pad(spectrum, (0, 0, n_lags - 1, 0))
    newest_first = padded.unfold(0, n_lags, 1).flip(2)  # (T, bands, lags)
    drive = torch.einsum("tbl,nlb->tn", newest_first, fields)
    drive = drive / _as_tensor(subject.drive_unit, levels)
    rectified = F.softplus(3 * (drive - _as_tensor(subject.threshold, levels)))
    decay = torch.exp(-1 / (_as_tensor(subject.suppression_s, levels) * SOUND.rate_hz))
    recent = F.pad((1 - decay) * rectified, (0, 0, 1, 0))[:-1]
    stride, factor = 1, decay
    while stride < len(recent):  # twice as much of the past with every turn
        delayed = recent[stride:] + factor * recent[:-stride]
        recent = torch.cat([recent[:stride], delayed])
        stride, factor = 2 * stride, factor.square()
    depressed = rectified / (1 + _as_tensor(subject.suppression, levels) * recent)
    saturated = depressed / (1 + depressed / _as_tensor(subject.saturation, levels))
    return saturated * _as_tensor(subject.scale, levels)


def _compute_tactile_rates(subject: BarrelCortex, levels: Tensor) -> Tensor:
    """Return rates (T, n) of levels (T, 48); the first ones lack their past."""
    low, high = TOUCH.level_limits
    deflection = (levels * ((high - low) / 255) + low).unflatten(1, TOUCH.shape)
    filters = _as_tensor(subject.filters, levels)  # (n, lags, 2)
    seen = torch.einsum("twq,nw->tnq", deflection, _as_tensor(subject.pad, levels))
    n_lags = filters.shape[1]
    padded = torch.cat([seen[:1].expand(n_lags - 1, -1, -1), seen])
    newest_first = padded.unfold(0, n_lags, 1).flip(3)  # (T, n, 2, lags)
    drive = torch.einsum("tnql,nlq->tn", newest_first, filters)
    relative = drive / _as_tensor(subject.unit, levels)
    squared = F.relu(relative - _as_tensor(subject.threshold, levels)).square()
    saturated = squared / (1 + squared / _as_tensor(subject.saturation, levels))
    return (0.02 + saturated) * _as_tensor(subject.scale, levels)


def _as_tensor(values: Array, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)
