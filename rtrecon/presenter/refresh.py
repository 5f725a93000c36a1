"""The refreshes of the screen: how long one lasts, and how many a picture was late."""

from __future__ import annotations

import numpy as np

_N_MEASURED = 30  # half a second at 60 Hz
_MIN_SYNC_SHARE = 0.7  # of a refresh; a shorter median means that no swap waits for it
_LATE_SHARE = 1.5  # of a refresh
_MAX_REFRESH_ERROR = 0.02  # 59.94 and 60 Hz are the same


class RefreshMonitor:
    """Measures the refresh from the first flips, and counts those that were missed.

    nominal_hz: what the system says of the screen. interval_s: how long a refresh
    lasts. A flip is the moment in which the screen changes to the next picture.
    """

    def __init__(self, nominal_hz: float) -> None:
        self.interval_s = self._nominal_s = 1.0 / nominal_hz
        self.has_sync: bool | None = None  # None until it is measured
        self.n_flips = 0
        self.n_dropped = 0
        self._last_flip_s: float | None = None
        self._measured_s: list[float] = []

    @property
    def rate_hz(self) -> float:
        """Refreshes per second."""
        return 1.0 / self.interval_s

    def predict_next_flip_s(self, now_s: float) -> float:
        """Return when a picture appears that is drawn now."""
        if self._last_flip_s is None:
            return now_s
        return max(now_s, self._last_flip_s + self.interval_s)

    def add_flip(self, flip_s: float) -> int:
        """Add the time of a flip, in order; return how many refreshes were missed."""
        last_s, self._last_flip_s = self._last_flip_s, flip_s
        self.n_flips += 1
        if last_s is None:
            return 0
        if self.has_sync is None:
            self._measure(flip_s - last_s)
            return 0
        if flip_s - last_s < _LATE_SHARE * self.interval_s:
            return 0
        n_missed = round((flip_s - last_s) / self.interval_s) - 1
        self.n_dropped += n_missed
        return n_missed

    def compute_pause_s(self, now_s: float) -> float:
        """Return how long to wait before drawing, if no swap waits for the screen."""
        if self.has_sync is not False or self._last_flip_s is None:
            return 0.0
        return max(0.0, self._last_flip_s + self.interval_s - now_s)

    def describe_difference(self, expected_hz: float | None) -> str:
        """Return a sentence if the refresh is not `screen.refresh_hz`, else "".

        Without a measured refresh, that of the system is compared.
        """
        if expected_hz is None:
            return ""
        if abs(self.rate_hz / expected_hz - 1) < _MAX_REFRESH_ERROR:
            return ""
        return (
            f"the screen has {self.rate_hz:.1f} Hz, but screen.refresh_hz of the "
            f"settings is {expected_hz:g}: correct it, or the refresh of the screen; "
            "the daemon pairs pictures with the photodiode by that of the settings"
        )

    def _measure(self, interval_s: float) -> None:
        self._measured_s.append(interval_s)
        if len(self._measured_s) < _N_MEASURED:
            return
        median_s = float(np.median(self._measured_s))
        self.has_sync = median_s > _MIN_SYNC_SHARE * self._nominal_s
        if self.has_sync:
            self.interval_s = median_s
