"""Finds out why a frame does not belong to its session's images."""

from __future__ import annotations

from rtrecon.protocol import messages
from rtrecon.sources.frame_renumbering import find_longest_pause


def find_misfit(
    frame: messages.Frame, start: messages.SessionStart, field: str | None
) -> str:
    """Return why a frame does not belong to its session, or "".

    field: the scan field from which the session is read.
    """
    return (
        _check_layout(frame, start)
        or _check_stream(frame, start)
        or _check_scan_field(frame, field)
    )


def describe_layout(message: messages.SessionStart | messages.Frame) -> str:
    """Return the type and size of the images, as in 'int16 512 x 512'."""
    return f"{message.dtype} {message.shape[0]} x {message.shape[1]}"


def _check_layout(frame: messages.Frame, start: messages.SessionStart) -> str:
    if describe_layout(frame) == describe_layout(start):
        return ""
    return (
        f"frame {frame.frame} is {describe_layout(frame)}, the session was started as "
        f"{describe_layout(start)}; the sender must begin a new session to change it"
    )


def _check_stream(frame: messages.Frame, start: messages.SessionStart) -> str:
    planes = range(len(start.planes))
    if frame.channel in start.channels and frame.plane in planes:
        return ""
    return (
        f"frame {frame.frame} is of channel {frame.channel}, plane {frame.plane}, "
        f"but the session was started with channels {start.channels} and "
        f"{len(planes)} planes, counted from 0; the sender must name all it sends"
    )


def _check_scan_field(frame: messages.Frame, field: str | None) -> str:
    if frame.roi == field:
        return ""
    return (
        f"frame {frame.frame} is of scan field {frame.roi}, the session is read from "
        f"{field}; the sender should send only that"
    )


def check_order(frame: messages.Frame, newest: messages.Frame, rate_hz: float) -> str:
    """Return why a frame cannot follow the newest one of its stream, or ""."""
    step, step_s = frame.frame - newest.frame, frame.t - newest.t
    pause_s = find_longest_pause(rate_hz)
    if 0 < step <= pause_s * rate_hz and 0 < step_s <= pause_s:
        return ""
    return (
        f"frame {frame.frame} at {frame.t:g} s cannot follow frame {newest.frame} at "
        f"{newest.t:g} s; a sender must begin a new session when a counter restarts"
    )
