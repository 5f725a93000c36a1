"""A volume: the neurons of all planes put together, encoder frame by encoder frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.timing.aligner import EncoderSample


@dataclass(frozen=True)
class VolumeSample:
    """All neurons at one encoder frame, and when its newest image was received.

    t_received_s: wall clock. is_late: an image in it was queued before processing.
    """

    sample: EncoderSample
    t_received_s: float
    is_late: bool = False


class Volume:
    """Joins the encoder samples of planes into samples of all neurons, in order.

    neurons: for each plane, the indices of its neurons among all `n`. A sample waits
    until every plane has delivered it, at most `max_wait_frames` encoder frames: the
    neurons of a silent plane are then NaN, and what that plane delivers later for this
    encoder frame is discarded.
    """

    def __init__(self, neurons: list[Array], max_wait_frames: int) -> None:
        self._neurons = neurons
        self._n = sum(len(indices) for indices in neurons)
        self.max_wait_frames = max_wait_frames
        self._newest = [-1] * len(neurons)  # encoder frame delivered, by plane
        self._last_sent = -1
        self._pending: dict[int, VolumeSample] = {}

    def add_plane_samples(
        self, plane: int, samples: list[VolumeSample], *, is_catching_up: bool = False
    ) -> list[VolumeSample]:
        """Add one plane's samples; return those that are now complete, in order.

        is_catching_up: some plane still has queued images; it is waited for.
        """
        for part in samples:
            self._newest[plane] = part.sample.encoder_frame
            if part.sample.encoder_frame > self._last_sent:
                self._join(plane, part)
        last = min(self._newest)
        if not is_catching_up:
            last = max(last, max(self._newest) - self.max_wait_frames)
        return self._take_until(last)

    def _join(self, plane: int, part: VolumeSample) -> None:
        """Write one plane's values into the pending sample of all neurons."""
        sample, pending = part.sample, self._pending.get(part.sample.encoder_frame)
        if pending is None:
            values, frame = np.full(self._n, np.nan, np.float32), sample.frame
        else:
            values = pending.sample.values
            frame = max(sample.frame, pending.sample.frame)
        values[self._neurons[plane]] = sample.values
        is_late = part.is_late or bool(pending and pending.is_late)
        joined = EncoderSample(sample.encoder_frame, values, frame)
        self._pending[sample.encoder_frame] = VolumeSample(
            joined, part.t_received_s, is_late
        )

    def _take_until(self, last: int) -> list[VolumeSample]:
        """Remove and return the pending samples up to encoder frame `last`."""
        ready = sorted(index for index in self._pending if index <= last)
        self._last_sent = max(self._last_sent, *ready) if ready else self._last_sent
        return [self._pending.pop(index) for index in ready]
