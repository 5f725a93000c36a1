"""When pictures really appear on the screen, from a photodiode on a patch of it.

The patch changes between dark and bright with each picture, so that each picture has
one edge. The delay of the screen is found where pictures begin after a pause, because
there no other edge is near; then each picture is paired with the edge nearest to its
expected time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from rtrecon.config import ScreenSettings
from rtrecon.metrics.latency import LatencyHistogram

MAX_LAG_S = 0.3  # of a picture after the time that its sender gave
_EARLY_S = 0.02  # by which an edge may precede that time: clocks are not perfect
_MIN_PAUSE_S = 0.4  # longer than the lag: the next edge belongs to the next picture
_MAX_WITHOUT_PAUSE_S = 10.0  # then the smallest lag is assumed
_MAX_PENDING = 512
_MAX_LAG_ERROR_S = 0.01  # by which the first edge after a pause may be off
_N_LAGS = 61  # the lag is the median of so many
_MAX_LOST = 30  # pictures in a row without an edge: the lag is searched again
_MIN_REPORTED = 300  # pictures before their share without an edge is judged
_MAX_LOST_SHARE = 0.01
_MAX_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class PictureOnset:
    """A picture's time as sent, and when it appeared; None: it has no edge."""

    t_sent_s: float
    t_onset_s: float | None


class ScreenTiming:
    """Pairs pictures with edges; all times are on the microscope's clock, in s.

    n_pictures, n_lost: that were judged, and that have no edge of their own, because
    the screen did not show them in time. lag: histogram of the delays in ms.
    """

    def __init__(self, settings: ScreenSettings) -> None:
        self.line = settings.photodiode_line
        self.lag = LatencyHistogram()
        self.n_pictures = self.n_lost = 0
        self._refresh_s = 1 / settings.refresh_hz if settings.refresh_hz else None
        self._pictures: deque[tuple[float, float]] = deque(maxlen=_MAX_PENDING)
        self._edges: deque[float] = deque(maxlen=_MAX_PENDING)
        self._lags: deque[float] = deque(maxlen=_N_LAGS)
        self._newest_picture: tuple[str, int] | None = None
        self._newest_s = self._newest_edge_s = self._searching_since_s = -1e9
        self._n_lost_in_row = 0
        self._was_later = False  # the first edge after the newest pause
        self._onsets: list[PictureOnset] = []
        self._notices: list[str] = []
        self._is_loss_reported = False

    @property
    def lag_s(self) -> float | None:
        """How late pictures appear; None while it is not known."""
        return median(self._lags) if self._lags else None

    def add_picture(self, clip: str, index: int, t_s: float) -> None:
        """Learn of a picture and of its time as sent; a repeated one has no edge."""
        if (clip, index) == self._newest_picture:
            return
        self._newest_picture = clip, index
        interval_s = t_s - self._newest_s
        if interval_s <= 0:
            return
        if interval_s > _MIN_PAUSE_S and not self._lags:
            self._searching_since_s = t_s
        self._newest_s = t_s
        self._pictures.append((t_s, interval_s))
        self._pair(t_s)

    def add_edge(self, t_s: float) -> None:
        """Learn of an edge of the photodiode's line."""
        if t_s > self._newest_edge_s:
            self._newest_edge_s = t_s
            self._edges.append(t_s)
            self._pair(t_s)

    def take_onsets(self) -> list[PictureOnset]:
        """Return the pictures that were judged since the last call."""
        onsets, self._onsets = self._onsets, []
        return onsets

    def take_notices(self) -> list[str]:
        """Return the sentences since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def _pair(self, now_s: float) -> None:
        while self._pictures and now_s > self._pictures[0][0] + MAX_LAG_S:
            t_s, interval_s = self._pictures.popleft()
            while self._edges and self._edges[0] < t_s - _EARLY_S:
                self._edges.popleft()
            self._judge(t_s, interval_s)

    def _judge(self, t_s: float, interval_s: float) -> None:
        if self._lags and interval_s > _MIN_PAUSE_S:
            self._check_lag(t_s)
        lag_s = self.lag_s
        if lag_s is None:
            self._search(t_s, interval_s)
            return
        onset_s = self._find_edge(t_s + lag_s, interval_s)
        self.n_pictures += 1
        self._onsets.append(PictureOnset(t_s, onset_s))
        if onset_s is None:
            self._count_lost()
            return
        self._n_lost_in_row = 0
        self._lags.append(onset_s - t_s)
        self.lag.add_latency((onset_s - t_s) * 1e3)

    def _search(self, t_s: float, interval_s: float) -> None:
        """Find the lag at a picture that has no other one near before it."""
        is_overdue = t_s - self._searching_since_s > _MAX_WITHOUT_PAUSE_S
        if interval_s < _MIN_PAUSE_S and not is_overdue:
            return
        edge_s = next((e for e in self._edges if e <= t_s + MAX_LAG_S), None)
        if edge_s is None:
            self._warn_without_edges(t_s)
            return
        self._lags.append(edge_s - t_s)
        self._notices.append(
            f"the screen shows a picture {(edge_s - t_s) * 1e3:.0f} ms after its "
            f"sender's time (photodiode, line {self.line}); times of the stimulus are "
            "corrected by that"
        )

    def _check_lag(self, t_s: float) -> None:
        """Forget the lag if the first edge after a pause comes at another time.

        One that is earlier belongs to no other picture. A later one may be that of the
        next picture, where the screen has lost one: it counts at the second pause.
        """
        edge_s = next((e for e in self._edges if e <= t_s + MAX_LAG_S), None)
        if edge_s is None:
            return
        error_s = edge_s - t_s - median(self._lags)
        is_later = error_s > _MAX_LAG_ERROR_S
        if error_s < -_MAX_LAG_ERROR_S or (is_later and self._was_later):
            self._lags.clear()
            is_later = False
        self._was_later = is_later

    def _find_edge(self, expected_s: float, interval_s: float) -> float | None:
        """Return the edge nearest to the expected time, if it is near; use it up."""
        period_s = max(self._refresh_s or 0.0, min(interval_s, 2 * _MAX_TOLERANCE_S))
        near = [e for e in self._edges if abs(e - expected_s) < period_s / 2]
        if not near:
            return None
        onset_s = min(near, key=lambda edge_s: abs(edge_s - expected_s))
        while self._edges and self._edges[0] <= onset_s:
            self._edges.popleft()
        return onset_s

    def _count_lost(self) -> None:
        self.n_lost += 1
        self._n_lost_in_row += 1
        if self._n_lost_in_row >= _MAX_LOST:
            self._lags.clear()
            self._n_lost_in_row = 0
            self._notices.append(
                f"{_MAX_LOST} pictures in a row have no edge of the photodiode (line "
                f"{self.line}): is it on its patch, and does the patch change with "
                "each picture? The delay of the screen is measured again"
            )
        share = self.n_lost / self.n_pictures
        is_known = self.n_pictures >= _MIN_REPORTED and not self._is_loss_reported
        if is_known and share > _MAX_LOST_SHARE:
            self._is_loss_reported = True
            self._notices.append(
                f"{self.n_lost} of {self.n_pictures} pictures have no edge of the "
                "photodiode: the screen does not show every picture in time"
            )

    def _warn_without_edges(self, t_s: float) -> None:
        if self._searching_since_s == t_s or self._is_loss_reported:
            return  # the first picture: the line may be still before its first edge
        self._is_loss_reported = True
        self._notices.append(
            f"pictures arrive, but no edge of the photodiode (line {self.line}): is it "
            "connected, and does the microscope's program send the line's edges?"
        )
