"""The state: the same messages at the same times always give the same state."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from rtrecon.display.panel_states.activity import ActivityState
from rtrecon.display.panel_states.field import FieldState
from rtrecon.display.panel_states.held_out import HeldOutState
from rtrecon.display.panel_states.quality import (
    MAX_SAMPLES,
    QualityState,
    assess_quality,
)
from rtrecon.display.state import MAX_SILENCE_S, DisplayState
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import (
    DOWNSAMPLING,
    SimulatedExperiment,
    TimedMessage,
    encode_and_decode,
    replace_fields,
)

START_S = 1000.0
BASE = {"session": "session-1", "seq": 0, "t": 0.0}
SECONDS = 5.0
ADDRESS = "tcp://127.0.0.1:5562"
PANEL_STATES = (QualityState, HeldOutState, FieldState, ActivityState)


def empty_state() -> DisplayState:
    return DisplayState(PANEL_STATES, ADDRESS)


@functools.cache
def list_messages(experiment: SimulatedExperiment) -> list[TimedMessage]:
    """All messages of an experiment; they are made once."""
    return list(experiment.generate_messages())


def run_experiment(
    experiment: SimulatedExperiment,
    *,
    without: tuple[type, ...] = (),
    since_s: float = 0.0,
) -> DisplayState:
    """The state after an experiment; some types of messages are missing `since_s`."""
    state = empty_state()
    for t_s, message, payload in list_messages(experiment):
        if not (isinstance(message, without) and t_s >= since_s):
            state.update(message, payload, START_S + t_s)
    return state


def health(process: str, state: str) -> messages.Health:
    return messages.Health(**BASE, process=process, state=state)


def event(name: str, message: str = "") -> messages.Event:
    return messages.Event(**BASE, name=name, message=message)


DATA = (
    messages.Activity,
    messages.FieldImage,
    messages.Movie,
    messages.AlignedStimulus,
    messages.Quality,
)
WITHOUT_INVERTER = (messages.Movie, messages.Health)
# missing types, since when (s), last messages, the notice
NOTICES = {
    "nothing is missing": ((), 0, [], ""),
    "the inverter was killed": ((messages.Movie,), 2, [], "No movie for 3 s"),
    "the inverter is restarted": (
        (messages.Movie,),
        2,
        [health("inverter", "restarting")],
        "No movie for 3 s\nThe inverter is being restarted.",
    ),
    "the inverter starts": (
        WITHOUT_INVERTER,
        0,
        [health("inverter", "starting")],
        "No movie yet\nThe inverter reports: starting.",
    ),
    "there is no inverter": (WITHOUT_INVERTER, 0, [], "No movie yet"),
    "the microscope stops": (
        DATA,
        2,
        [health("daemon", "idle")],
        "No activity for 3 s\nThe session has ended, or the scan is paused.",
    ),
    "the microscope has not started": (
        DATA,
        0,
        [health("daemon", "waiting")],
        "No activity yet\nThe daemon is ready for the first frame.",
    ),
    "the daemon stops": ((), 0, [event("shutdown")], "The daemon has stopped"),
}


@pytest.mark.parametrize(
    ("missing", "since_s", "last", "notice"), NOTICES.values(), ids=NOTICES
)
def test_the_notice_names_what_is_missing(missing, since_s, last, notice):
    experiment = SimulatedExperiment(seconds=SECONDS)
    state = run_experiment(experiment, without=missing, since_s=since_s)
    for message in last:
        state.update(*encode_and_decode(message), START_S + SECONDS - 0.1)
    assert state.notice(START_S + SECONDS) == notice


def test_without_a_daemon_the_notice_gives_the_address_and_the_option():
    state = empty_state()
    headline, details = state.notice(START_S).split("\n")
    assert headline == "Waiting for the daemon"
    assert ADDRESS in details
    assert "--publish" in details
    state.refusal = "the daemon requires keys"
    assert state.notice(START_S) == (
        "The daemon refused this display\nthe daemon requires keys"
    )


def test_a_silent_daemon_is_noticed_and_can_come_back():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS))
    later_s = START_S + SECONDS + MAX_SILENCE_S + 4
    assert state.notice(later_s).startswith("No message from the daemon for 6 s\n")
    again = SimulatedExperiment(seconds=SECONDS, session="session-2")
    for _, message, payload in list_messages(again):
        state.update(message, payload, later_s)
    assert state.notice(later_s) == ""


def test_a_daemon_that_was_stopped_and_started_again_is_running():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS))
    state.update(*encode_and_decode(event("shutdown")), START_S + SECONDS)
    assert state.daemon_stopped
    waiting = health("daemon", "waiting")
    state.update(*encode_and_decode(waiting), START_S + SECONDS)
    assert not state.daemon_stopped


def test_an_experiment_fills_every_part_of_the_state():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS, n_neurons=300))
    plane = state.panel(FieldState).planes[0]
    assert plane.image.shape == plane.field.shape
    assert plane.field.downsampling == DOWNSAMPLING
    times = [motion.t_s for motion in plane.motion]
    assert times == sorted(times)
    assert 0 < plane.motion[-1].z < 3
    assert state.has_field
    assert state.panel(ActivityState).raster.n_neurons == 300
    moment = state.playback.moment_now(START_S + SECONDS)
    assert moment.stimulus.shape == moment.reconstruction.shape == (36, 64)
    r = np.corrcoef(moment.stimulus.ravel(), moment.reconstruction.ravel())[0, 1]
    assert r > 0.7
    samples = state.panel(QualityState).samples
    assert assess_quality(samples, START_S + SECONDS).label == "GOOD"
    assert state.identifiability.shape == (36, 64)
    assert len(state.panel(HeldOutState).traces.ranked_traces()) == 4
    assert state.event.endswith("Template taken from 100 frames.")


def test_a_new_session_starts_with_an_empty_state():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS))
    new = messages.Activity(
        **{**BASE, "session": "session-2"}, encoder_frame=0, frame=0, t_frame=0.0
    )
    state.update(*encode_and_decode(new, np.ones(7, np.float32)), START_S + SECONDS)
    assert state.panel(ActivityState).raster.n_neurons == 7
    assert state.playback.moment_now(START_S + SECONDS) is None
    assert not state.panel(QualityState).samples
    assert not state.panel(FieldState).planes
    assert not state.has_field
    assert state.panel(HeldOutState).traces is None


def test_a_late_message_of_the_session_before_is_ignored():
    experiment = SimulatedExperiment(seconds=SECONDS)
    state = run_experiment(experiment)
    before = state.playback.moment_now(START_S + SECONDS).index
    *_, (_, movie, frames) = [
        timed
        for timed in list_messages(experiment)
        if isinstance(timed[1], messages.Movie)
    ]
    late = replace_fields(
        movie, session="session-0", encoder_frame=movie.encoder_frame + 90
    )
    state.update(late, frames, START_S + SECONDS)
    assert state.playback.moment_now(START_S + SECONDS).index == before
    assert state.session == "session-1"


def test_only_what_has_changed_is_marked_as_changed():
    state = run_experiment(SimulatedExperiment(seconds=1))
    state.changed.clear()
    state.update(*encode_and_decode(health("daemon", "running")), START_S + 1)
    assert state.changed == {"health"}
    activity = messages.Activity(**BASE, encoder_frame=40, frame=40, t_frame=0.0)
    payload = np.ones(900, np.float32)
    state.changed.clear()
    state.update(*encode_and_decode(activity, payload), START_S + 1)
    assert state.changed == {ActivityState}


def test_the_quality_history_is_bounded_whatever_arrives():
    state = empty_state()
    quality = messages.Quality(
        **BASE, encoder_frame=0, lag_s=0.5, metrics={"activity_correlation": 0.2}
    )
    for i in range(MAX_SAMPLES + 2000):
        state.update(quality, np.empty(0), START_S + i)
    assert len(state.panel(QualityState).samples) == MAX_SAMPLES


def daemon_health(**fields) -> messages.Health:
    return messages.Health(**BASE, process="daemon", state="running", **fields)


def test_what_is_wrong_stands_until_the_daemon_says_that_it_is_over():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS))
    now_s = START_S + SECONDS
    conditions = {"stimulus gone": "no stimulus for 14.0 s"}
    state.update(daemon_health(conditions=conditions), np.empty(0), now_s)
    assert state.conditions(now_s + 1) == conditions
    state.update(daemon_health(), np.empty(0), now_s + 1)
    assert state.conditions(now_s + 1) == {}


def test_nobody_knows_what_is_wrong_while_the_daemon_is_silent():
    state = run_experiment(SimulatedExperiment(seconds=SECONDS))
    now_s = START_S + SECONDS
    message = daemon_health(conditions={"no-go": "another field"})
    state.update(message, np.empty(0), now_s)
    assert state.conditions(now_s + MAX_SILENCE_S + 0.1) == {}


def session_without_encoder(**health_fields) -> DisplayState:
    """One minute with two clips, a pupil and no wheel."""
    state = empty_state()
    for i in (0, 899, 1799):
        activity = messages.Activity(
            **BASE,
            encoder_frame=i,
            frame=i,
            t_frame=0.0,
            behavior=(1.0, None, 0.0, 0.0),
        )
        state.update(activity, np.ones(120, np.float32), START_S)
    for i, clip in enumerate(("bars", "noise", "bars")):
        stimulus = messages.AlignedStimulus(
            **BASE, encoder_frame=i, clip=clip, shape=(2, 2)
        )
        state.update(stimulus, np.full((2, 2), i, np.uint8), START_S)
    health = daemon_health(has_inverter=False, **health_fields)
    state.update(health, np.empty(0), START_S)
    return state


def test_without_an_encoder_the_window_shows_what_is_recorded():
    state = session_without_encoder(disk_free_gb=100.0)
    assert state.notice(START_S) == (
        "Recording, without an encoder\n"
        "1.0 min, 120 neurons\n2 clips, pupil, no running"
    )
    assert (state.contents.newest_stimulus == 2).all()


def test_a_calibration_takes_the_place_of_the_movie_until_there_is_one():
    state = session_without_encoder(disk_free_gb=100.0)
    progress = messages.Calibration(
        **BASE,
        stage="gathering",
        minutes=1.0,
        n_neurons=120,
        missing="1 more minute",
    )
    state.update(progress, np.empty(0), START_S)
    headline, stage, missing, *contents = state.notice(START_S).splitlines()
    assert (headline, stage) == ("Calibrating: 1.0 min", "gathering minutes")
    assert missing == "1 more minute"
    assert contents == ["1.0 min, 120 neurons", "2 clips, pupil, no running"]
    state.update(daemon_health(has_inverter=True), np.empty(0), START_S)
    assert "Calibrating" not in state.notice(START_S)


def test_the_calibration_of_an_earlier_session_is_not_shown():
    state = session_without_encoder(disk_free_gb=100.0)
    earlier = BASE | {"session": "earlier"}
    progress = messages.Calibration(
        **earlier, stage="complete", minutes=20.0, n_neurons=120
    )
    state.update(progress, np.empty(0), START_S)
    assert "Calibrating" not in state.notice(START_S)


@pytest.mark.parametrize(
    "fields", [{}, {"disk_free_gb": 0.0, "conditions": {"not recording": "disk full"}}]
)
def test_without_an_encoder_the_window_says_that_nothing_is_recorded(fields):
    state = session_without_encoder(**fields)
    assert state.notice(START_S).startswith("Not recording, without an encoder\n")


def test_while_the_inverter_starts_the_notice_says_what_it_does():
    state = empty_state()
    activity = messages.Activity(**BASE, encoder_frame=0, frame=0, t_frame=0.0)
    state.update(activity, np.ones(7, np.float32), START_S)
    state.update(daemon_health(), np.empty(0), START_S)
    assert state.notice(START_S) == "No movie yet\nThe inverter loads the encoder."


def slow_health(interval_s: float) -> messages.Health:
    kind = {"has_inverter": False, "frame_interval_s": interval_s}
    return messages.Health(**BASE, process="daemon", state="running", **kind)


def test_activity_of_a_time_lapse_may_be_silent_for_three_intervals():
    state = empty_state()
    activity = messages.Activity(**BASE, encoder_frame=8, frame=9, t_frame=0.0)
    state.update(activity, np.zeros(3, np.float32), START_S)
    for elapsed_s, headline in (
        (3000.0, "Not recording, without an encoder"),
        (3700.0, "No activity for 1 h 2 min"),
    ):
        state.update(slow_health(1200.0), np.empty(0), START_S + elapsed_s)
        notice = state.notice(START_S + elapsed_s)
        assert notice.startswith(headline)
    assert "3 h, 3 neurons" in state.contents.describe(1200.0)
    assert state.panel(ActivityState).column_s == 1200.0
    assert state.panel(FieldState).frame_interval_s == 1200.0


def test_the_raster_of_a_fast_session_has_columns_of_encoder_frames():
    state = empty_state()
    state.update(slow_health(1 / 7), np.empty(0), START_S)
    assert state.panel(ActivityState).column_s == 1 / 30
