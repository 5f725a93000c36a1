"""Follows the scan phase through a session: mirrors warm up, and it moves.

The offset between odd and even lines stays with the line, however the brain moves, so
that it can be measured in a mean of frames as they come from the microscope.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration.kernels import update_mean
from rtrecon.imaging.registration.scan_phase import estimate_scan_offset

PERIOD_S = 10.0  # after which it is measured again
_MIN_FRAMES, _MAX_FRAMES = 10, 60  # of a period that are averaged, evenly spread
# One s.d.; a worse estimate changes nothing, because offsets within its noise are 0.
_MAX_ERROR_PX = 0.05
_MIN_CHANGE_PX, _MIN_ERRORS = 0.1, 3.0  # smaller changes do no harm, or are noise
_NOTICE_STEP_PX = 0.5  # from the offset that was reported last


class ScanPhaseTracker:
    """Measures the scan offset again every ten seconds.

    shape: (lines, pixels). offset_px: how far odd lines lie to the right of even ones,
    at first that of the reference.
    """

    def __init__(
        self, shape: tuple[int, int], rate_hz: float, offset_px: float
    ) -> None:
        self.offset_px = self._reported_px = offset_px
        n_frames = max(1.0, PERIOD_S * rate_hz)
        self._step = ceil(n_frames / _MAX_FRAMES)
        self._n_averaged = max(_MIN_FRAMES, int(n_frames / self._step))
        self._mean = np.zeros(shape, np.float32)
        self._n_frames = self._n_used = 0
        self._notices: list[str] = []

    def add_frame(self, frame: Array) -> bool:
        """Include an accepted frame, (lines, pixels) as it was received.

        Returns whether `offset_px` is new.
        """
        self._n_frames += 1
        if self._n_frames % self._step:
            return False
        self._n_used += 1
        update_mean(self._mean, frame, 1 / self._n_used)
        if self._n_used < self._n_averaged:
            return False
        self._n_frames = self._n_used = 0
        found = estimate_scan_offset([self._mean])
        least_px = max(_MIN_CHANGE_PX, _MIN_ERRORS * found.error_px)
        is_new = abs(found.px - self.offset_px) > least_px
        if found.error_px > _MAX_ERROR_PX or not is_new:
            return False
        self.offset_px = found.px
        self._report_change()
        return True

    def take_notices(self) -> list[str]:
        """Return the sentences for the user that are new since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        numbers = self.offset_px, self._reported_px, self._n_frames, self._n_used
        return {"mean": self._mean.copy(), "numbers": np.array(numbers)}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state; then `offset_px` is that of the state."""
        self._mean[:] = state["mean"]
        self.offset_px, self._reported_px, n_frames, n_used = state["numbers"].tolist()
        self._n_frames, self._n_used = int(n_frames), int(n_used)

    def _report_change(self) -> None:
        if abs(self.offset_px - self._reported_px) < _NOTICE_STEP_PX:
            return
        self._notices.append(
            f"the scan phase has moved: odd lines lie {self.offset_px:+.1f} px to the "
            f"right of even ones, before {self._reported_px:+.1f} px; this is "
            "corrected. Adjust the scan phase in the microscope's program"
        )
        self._reported_px = self.offset_px
