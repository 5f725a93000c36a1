"""Continues frame numbers and times where a recording's counter or clock restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rtrecon.core.frame_intervals import extend_timeout, format_interval
from rtrecon.sources.recording import RecordedFrame

# The daemon refuses a longer pause between two frames, as an error of the sender.
MAX_PAUSE_S = 3600.0
# Of a time-lapse: a weekend in which nobody refilled the incubator.
MAX_PAUSE_INTERVALS = 250.0


def find_longest_pause(rate_hz: float) -> float:
    """Return how long (s) frames of this rate may pause within one session."""
    return extend_timeout(MAX_PAUSE_S, rate_hz, MAX_PAUSE_INTERVALS)


class FrameRenumbering:
    """Makes numbers and times of frames increase, in a file and from file to file.

    Files of a LOOP continue the count and are left as they are. If a counter restarts,
    as in the next file or where recordings were joined, the next frame gets the next
    number. If a clock restarts, stands still or jumps by more than `find_longest_pause`
    allows, the next frame follows after one frame period. `notice` names where this
    happened within a file; empty if nowhere.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._longest_pause_s = find_longest_pause(rate_hz)
        self._last_frame: RecordedFrame | None = None  # as it was yielded
        self._image_channels: set[int] = set()  # that the last image has by now
        self._number_offset, self._time_offset_s = 0, 0.0
        self._n_restarts, self._first_restart = 0, 0

    @property
    def notice(self) -> str:
        """A sentence for the user if a counter or clock restarted within a file."""
        if not self._n_restarts:
            return ""
        return (
            "frame numbers or times do not increase, or jump by more than "
            f"{format_interval(self._longest_pause_s)}, at "
            f"{self._n_restarts} frame(s), the first after frame "
            f"{self._first_restart}; they are counted on from the frame before"
        )

    def renumber(
        self, frames: Iterator[RecordedFrame], n_missing: int = 0
    ) -> Iterator[RecordedFrame]:
        """Yield the frames of the next file, renumbered if necessary.

        n_missing: how many frames (volumes) are missing before this file; the count
        leaves a gap for them if the file's counter or clock restarts.
        """
        is_first = True
        for frame in frames:
            if self._is_new_image(frame):
                is_restart = self._follow_last_frame(frame, n_missing * is_first)
                self._image_channels.clear()
                if is_restart and not is_first and self._last_frame is not None:
                    self._n_restarts += 1
                    self._first_restart = self._first_restart or self._last_frame.number
            is_first = False
            self._image_channels.add(frame.channel)
            self._last_frame = self._shift(frame)
            yield self._last_frame

    def _is_new_image(self, frame: RecordedFrame) -> bool:
        last = self._last_frame
        if last is None:
            return False
        shifted = self._shift(frame)
        is_same = (shifted.number, frame.plane) == (last.number, last.plane)
        return not is_same or frame.channel in self._image_channels

    def _follow_last_frame(self, frame: RecordedFrame, n_missing: int) -> bool:
        """Change the offsets if the frame cannot follow the last; return if so."""
        last = self._last_frame
        if last is None:
            return False
        is_restart = False
        # A volume may continue in the next file: then the number stays the same.
        step = frame.number + self._number_offset - last.number
        is_next_plane = step == 0 and frame.plane > last.plane
        is_jump = step * self._period_s > self._longest_pause_s
        if (step <= 0 and not is_next_plane) or is_jump:
            step, is_restart = 1 + n_missing, True
            self._number_offset = last.number + step - frame.number
        pause_s = frame.t_s + self._time_offset_s - last.t_s
        is_standing = pause_s < 0 or (pause_s == 0 and step > 0)
        if is_standing or pause_s > self._longest_pause_s:
            is_restart = True
            self._time_offset_s = last.t_s + step * self._period_s - frame.t_s
        return is_restart

    def _shift(self, frame: RecordedFrame) -> RecordedFrame:
        return replace(
            frame,
            number=frame.number + self._number_offset,
            t_s=frame.t_s + self._time_offset_s,
        )
