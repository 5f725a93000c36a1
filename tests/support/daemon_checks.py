"""What tests read from a running daemon, of one session."""

from __future__ import annotations

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import DaemonProcess


def list_events(daemon: DaemonProcess, name: str, session: str) -> list[messages.Event]:
    """Return the received events of one name and one session, oldest first."""
    return [event for event in daemon.events_named(name) if event.session == session]


def list_refusals(daemon: DaemonProcess, session: str) -> list[str]:
    """Return the sentences of the session's refusals, oldest first."""
    return [event.message for event in list_events(daemon, "refused", session)]


def list_recorded_frames(daemon: DaemonProcess, session: str) -> list[float]:
    """Return the frame numbers in the only recording of the session."""
    (recording,) = daemon.recordings(session)
    return recording.frames["frame"].tolist()
