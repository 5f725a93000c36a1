"""Limits that count seconds at a fast microscope and frame intervals at a slow one.

A time-lapse of cells in culture has one frame in some minutes: what is a long silence
at 30 Hz is then the usual time between two frames.
"""

from __future__ import annotations

MIN_RATE_HZ = 1 / 86400  # one frame a day
# At most one frame in five seconds is a time-lapse: no encoder of movies fits to it.
MAX_TIME_LAPSE_HZ = 0.2


def is_time_lapse(rate_hz: float) -> bool:
    """Return whether frames of this rate are so rare that limits must count them."""
    return rate_hz <= MAX_TIME_LAPSE_HZ


def extend_timeout(timeout_s: float, rate_hz: float, n_intervals: float) -> float:
    """Return a timeout in s that is never shorter than so many frame intervals."""
    return max(timeout_s, n_intervals / rate_hz)


def describe_rate(rate_hz: float) -> str:
    """Return a rate as text: '30 Hz', or 'one frame in 20 min' for a time-lapse."""
    if not is_time_lapse(rate_hz):
        return f"{rate_hz:g} Hz"
    return f"one frame in {format_interval(1 / rate_hz)}"


def format_interval(seconds: float) -> str:
    """Return a time as text: '1.5 s', '20 min' or '33 h 20 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    n_seconds = round(seconds)
    if n_seconds < 600 and n_seconds % 60:
        return f"{n_seconds // 60} min {n_seconds % 60} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
