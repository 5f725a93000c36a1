"""A "plane" of sorted units: their spike rates are already the activity."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.daemon.plane import PlaneFrame, ProcessedFrame, make_label_image
from rtrecon.imaging.frame_processor import FrameTraces
from rtrecon.imaging.registration.registrar import FrameShift
from rtrecon.imaging.registration.z_drift import DepthEstimate
from rtrecon.imaging.timing.aligner import Aligner
from rtrecon.rois.roi_set import RoiSet

_NO_SHIFT = FrameShift(0.0, 0.0, confidence=1.0, is_accepted=True)


class SpikePlane:
    """The units of a session of spike rates (implements `Plane`).

    A frame is one bin, (1, n) float32: the rate of each unit, NaN where it was lost.
    There is no reference, no queue and no image. is_count: the values are spikes per
    bin, which an encoder frame sums; rates in other units are averaged.
    """

    is_calibrating = False
    is_building_reference = False
    n_queued = n_queued_images = 0
    is_queue_full = False

    def __init__(
        self,
        rois: RoiSet,
        rate_hz: float,
        encoder_rate_hz: float,
        *,
        is_count: bool = True,
    ) -> None:
        self.n_unusable = 0
        self._rois = rois
        self._rate_hz = rate_hz
        self._aligner = Aligner(encoder_rate_hz, is_amount=is_count)

    def start_session(self, t0_s: float, from_s: float) -> None:
        """Start at from_s in a session whose first bin was at t0_s (s)."""
        self._aligner.start_session(t0_s, self._rate_hz, from_s)

    def set_rate(self, rate_hz: float) -> None:
        """Expect this many bins per second from now on."""
        self._rate_hz = rate_hz
        self._aligner.set_microscope_rate(rate_hz)

    def add_frame(self, frame: PlaneFrame) -> list[ProcessedFrame]:
        """Take one bin; its activity is complete at once."""
        received = frame.signal_image[0]
        rates = np.where(np.isfinite(received), received, np.float32("nan"))
        missing = np.full_like(rates, np.nan)
        message = frame.message
        # A bin begins at its time, as an encoder frame of units does; for the aligner
        # they lie before it.
        end_s = message.t + (1 / self._rate_hz - 1 / self._aligner.rate_hz)
        samples = self._aligner.add_activity(end_s, message.frame, rates)
        traces = FrameTraces(_NO_SHIFT, rates, missing, missing, rates)
        return [
            ProcessedFrame(
                frame, traces, samples, frame, is_late=False, depth=DepthEstimate()
            )
        ]

    def process_pending(self, *, is_ending: bool = False) -> list[ProcessedFrame]:
        """Return nothing: bins are never queued."""
        return []

    def renew_reference(self) -> None:
        """Do nothing: rates need no reference."""

    def take_notices(self) -> list[str]:
        """Return nothing: there is nothing to report."""
        return []

    def make_labels(self) -> Array:
        """Return uint32 (1, n): the k-th unit is labelled k."""
        return make_label_image(self._rois)

    def make_view(self, step_px: int) -> Array:
        """Return an empty image."""
        return np.empty((0, 0), np.uint8)
