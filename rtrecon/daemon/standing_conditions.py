"""Lists what is wrong now: the display shows it until it is over."""

from __future__ import annotations

from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.session_manager import SessionManager


def list_conditions(
    context: DaemonContext, sessions: SessionManager, now_s: float
) -> dict[str, str]:
    """Return a sentence for everything that is wrong now, by its name in `Health`.

    When a session has ended, only a failed recording remains.
    """
    conditions = dict[str, str]()
    recorder, pipeline = context.recording.recorder, sessions.pipeline
    if recorder and recorder.failure:
        conditions["not recording"] = recorder.failure
    if pipeline is None or sessions.is_ending:
        return conditions
    if no_go := pipeline.planes.find_no_go():
        conditions["no-go"] = no_go.removeprefix("no-go: ")
    elif field_lost := pipeline.rejections.describe(now_s):
        conditions["field lost"] = field_lost
    if problem := pipeline.planes.find_offset_problem():
        conditions["detector offset"] = problem
    conditions |= context.watchdogs.list_conditions(now_s)
    conditions |= context.events.losses.list_conditions()
    return conditions
