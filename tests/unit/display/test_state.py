"""Messages in, what to draw out: the same messages always give the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.state import SILENT_S, State
from rtrecon.display.verdict import verdict
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import STEP, World, message_with, through_bytes

START_S = 1000.0
BASE = {"session": "session-1", "seq": 0, "t": 0.0}
SECONDS = 5.0


def after(
    world: World, *, without: tuple[type, ...] = (), since_s: float = 0.0
) -> State:
    """The state after a world, of which some types were not heard since `since_s`."""
    state = State()
    for t_s, message, payload in world.messages():
        if not (isinstance(message, without) and t_s >= since_s):
            state.take(message, payload, START_S + t_s)
    return state


def health(station: str, state: str) -> messages.Health:
    return messages.Health(**BASE, station=station, state=state)


def event(name: str, message: str = "") -> messages.Event:
    return messages.Event(**BASE, name=name, message=message)


EVERYTHING = (
    messages.Activity,
    messages.Field,
    messages.Movie,
    messages.Seen,
    messages.Quality,
)
SILENCES = {  # what goes missing and since when (s), last messages, the notice
    "nothing missing": ((), 0, [], ""),
    "inverter killed": ((messages.Movie,), 2, [], "Inverter silent for 3 s"),
    "inverter comes again": (
        (messages.Movie,),
        2,
        [health("inverter", "restarting")],
        "Inverter silent for 3 s\nthe inverter is started again",
    ),
    "inverter never came": (
        (messages.Movie, messages.Health),
        0,
        [health("inverter", "starting")],
        "No movie yet\ninverter starting",
    ),
    "no encoder, no inverter": (
        (messages.Movie, messages.Health),
        0,
        [],
        "No movie yet",
    ),
    "microscope stops": (
        EVERYTHING,
        2,
        [health("front", "idle")],
        "No activity for 3 s\nthe session has ended, or the scan is paused",
    ),
    "microscope not started": (
        EVERYTHING,
        0,
        [health("front", "waiting")],
        "No activity yet\nthe daemon is ready for the first frame",
    ),
    "daemon says goodbye": ((), 0, [event("shutdown")], "The daemon has shut down"),
}


@pytest.mark.parametrize(
    ("missing", "since_s", "last", "notice"), SILENCES.values(), ids=SILENCES
)
def test_notice(missing, since_s, last, notice):
    state = after(World(seconds=SECONDS), without=missing, since_s=since_s)
    for message in last:
        state.take(*through_bytes(message), START_S + SECONDS - 0.1)
    assert state.notice(START_S + SECONDS) == notice


def test_daemon_never_heard():
    state = State()
    assert state.notice(START_S) == "Waiting for the daemon"
    state.refusal = "the daemon wants keys"
    assert state.notice(START_S) == "Not let in\nthe daemon wants keys"


def test_daemon_gone_is_said_and_heals_by_itself():
    state = after(World(seconds=SECONDS))
    gone_s = START_S + SECONDS + SILENT_S + 4
    assert state.notice(gone_s).startswith("Daemon silent for 6 s\n")
    for _, message, payload in World(seconds=SECONDS, session="session-2").messages():
        state.take(message, payload, gone_s)
    assert state.notice(gone_s) == ""


def test_a_daemon_that_shut_down_and_came_again_is_back():
    state = after(World(seconds=SECONDS))
    state.take(*through_bytes(event("shutdown")), START_S + SECONDS)
    assert state.daemon_stopped
    state.take(*through_bytes(health("front", "waiting")), START_S + SECONDS)
    assert not state.daemon_stopped


def test_everything_of_a_world_can_be_drawn():
    world = World(seconds=SECONDS, n_neurons=300)
    state = after(world)
    plane = state.planes[0]
    field, image = plane.field, plane.image
    moment = state.playback.moment(START_S + SECONDS)
    assert image.shape == field.shape
    assert field.step == STEP
    assert state.raster.n_neurons == 300
    assert moment.stimulus.shape == moment.reconstruction.shape == (36, 64)
    assert (
        np.corrcoef(moment.stimulus.ravel(), moment.reconstruction.ravel())[0, 1] > 0.7
    )
    assert verdict(state.quality, START_S + SECONDS).word == "GOOD"
    assert state.trust.shape == (36, 64)
    times = [shift.t_s for shift in plane.motion]
    assert times == sorted(times)
    assert 0 < plane.motion[-1].z < 3
    assert len(state.held_out.traces()) == 4
    assert state.event.endswith("Template taken from 100 frames.")


def test_a_new_session_begins_empty():
    state = after(World(seconds=SECONDS))
    new = messages.Activity(
        **{**BASE, "session": "session-2"}, index=0, frame=0, t_frame=0.0
    )
    state.take(*through_bytes(new, np.ones(7, np.float32)), START_S + SECONDS)
    assert state.raster.n_neurons == 7
    assert state.playback.moment(START_S + SECONDS) is None
    assert not state.quality
    assert not state.planes
    assert state.held_out is None


def test_a_straggler_of_the_session_before_is_dropped():
    state = after(World(seconds=SECONDS))
    before = state.playback.moment(START_S + SECONDS).index
    *_, (_, late, frames) = [
        m for m in World(seconds=SECONDS).messages() if isinstance(m[1], messages.Movie)
    ]
    late = message_with(late, session="session-0", index=late.index + 90)
    state.take(late, frames, START_S + SECONDS)
    assert state.playback.moment(START_S + SECONDS).index == before
    assert state.session == "session-1"


def test_only_what_changed_is_counted_as_changed():
    state = after(World(seconds=1))
    before = state.changes.copy()
    state.take(*through_bytes(health("front", "running")), START_S + 1)
    assert state.changes - before == {"health": 1}


def test_histories_are_bounded_whatever_comes():
    state = State()
    quality = messages.Quality(**BASE, index=0, lag=0.5, activity_correlation=0.2)
    for i in range(6000):
        state.take(quality, np.empty(0), START_S + i)
    assert len(state.quality) == 4000
