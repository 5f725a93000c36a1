"""Activity from dF/F, at any microscope rate: averages fast frames, then deconvolves.

Deconvolution uses `deconvolution_lag_frames` later frames. In the noise of single
frames of a fast microscope, that is too little time to distinguish an event from noise.
Frames of a microscope faster than the encoder are therefore averaged in blocks of
about one encoder frame first.
"""

from __future__ import annotations

from math import expm1, floor

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.imaging.timing.aligner import SAME_RATE_TOLERANCE
from rtrecon.imaging.timing.frame_integration import FrameIntegral
from rtrecon.imaging.traces.deconvolution import make_deconvolver


def count_block_frames(rate_hz: float, encoder_hz: float) -> int:
    """Return how many frames of the microscope are averaged before deconvolution."""
    return max(1, floor(rate_hz / encoder_hz + 0.5))


class ActivityEstimator:
    """Deconvolves dF/F of n neurons in blocks of `block_frames` microscope frames.

    block_frames: 1, unless the microscope is at least 1.5 times as fast as the encoder.
    Activity does not depend on the rate: a block sees an event, on average, after half
    a block of decay, and `compute_sampling_gain` adds what was lost by then.
    """

    def __init__(self, n: int, rate_hz: float, settings: Settings) -> None:
        encoder_hz = settings.timing.encoder_rate_hz
        self.block_frames = count_block_frames(rate_hz, encoder_hz)
        block_hz = rate_hz / self.block_frames
        rise_s = settings.traces.indicator_rise_s
        self._deconvolver = make_deconvolver(n, block_hz, settings.traces, rise_s)
        decay_s = settings.traces.indicator_decay_s
        self._gain = np.float32(1)
        # With a rise time, an event peaks between the frames and loses little.
        if rise_s is None and abs(block_hz / encoder_hz - 1) > SAME_RATE_TOLERANCE:
            self._gain = np.float32(
                compute_sampling_gain(block_hz, encoder_hz, decay_s)
            )
        self._block = FrameIntegral(is_amount=False)
        self._n_in_block = 0

    def add_frame(self, dff: Array, out: Array) -> bool:
        """Include one frame of dF/F, (n,) float32; return whether it ends a block.

        Then out is filled with the activity of the block `deconvolution_lag_frames`
        blocks ago, in dF/F per block; otherwise with NaN. dF/F of a block is NaN where
        less than half of its frames have a value.
        """
        if self.block_frames > 1:
            self._block.add_part(dff, 1.0, 1.0 / self.block_frames)
            self._n_in_block += 1
            if self._n_in_block < self.block_frames:
                out[:] = np.nan
                return False
            self._n_in_block, dff = 0, self._block.take(len(dff))
        self._deconvolver.deconvolve_frame(dff, out)
        if self._gain != 1:
            out *= self._gain
        return True

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return self._deconvolver.get_state()

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate; begin a block."""
        self._block.clear()
        self._n_in_block = 0
        self._deconvolver.restore_state(state)


def compute_sampling_gain(rate_hz: float, encoder_hz: float, decay_s: float) -> float:
    """Return the factor by which an event looks larger at encoder_hz than at rate_hz.

    An event between two frames has decayed when the second one is taken: at a period p
    to decay_s / p * (1 - exp(-p / decay_s)) of its peak, on average.
    """

    def mean_share(hz: float) -> float:
        return -decay_s * hz * expm1(-1 / (decay_s * hz))

    return mean_share(encoder_hz) / mean_share(rate_hz)
