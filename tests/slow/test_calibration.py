"""A new mouse in one session: from the first frame to the first live movie.

One daemon runs through the whole story, because each process has to import torch.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from rtrecon.core.types import Array
from rtrecon.encoder.card import read_card
from rtrecon.protocol import messages
from rtrecon.session.session import Session
from rtrecon.session.session_files import ENCODER_FILE
from rtrecon.testing.daemon_process import DaemonProcess
from tests.support.calibration_world import (
    FIRST_MINUTES,
    N_FRAMES,
    N_UNITS,
    UnitSender,
    UnitSession,
    make_calibration_settings,
    make_movie_session,
    publish_as_calibrator,
    raise_calibrator_priority,
    replace_encoder,
)

TIMEOUT_S = 600.0  # at the lowest priority, where the system does not raise it
N_STILL, N_LATE = 650, 150
pytestmark = pytest.mark.timeout(1500)


@dataclass
class Story:
    """What was seen of two sessions: a picture that stands still, and a movie."""

    still: list[messages.Calibration] = field(default_factory=list)
    movie: list[messages.Calibration] = field(default_factory=list)
    without_stimulus: list[messages.Calibration] = field(default_factory=list)
    events: list[messages.Event] = field(default_factory=list)
    movies: list[messages.Movie] = field(default_factory=list)
    n_sent: int = 0
    warnings: list[str] = field(default_factory=list)
    health: messages.Health | None = None
    recording: Session | None = None


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("calibration")
    settings = make_calibration_settings(folder)
    with DaemonProcess(folder, settings) as daemon:
        yield tell_story(daemon)


def tell_story(daemon: DaemonProcess) -> Story:
    story = Story()
    still = np.repeat(make_movie_session().movie[:1], N_STILL, 0)
    with UnitSender(daemon, UnitSession(still)) as sender:
        sender.send(N_STILL)
        daemon.wait_until(lambda: raise_calibrator_priority(daemon))
        story.still = wait_for(daemon, sender, lambda c: "stood still" in c.missing)
    with UnitSender(daemon, make_movie_session()) as sender:
        show_movie(daemon, sender, story)
    return story


def show_movie(daemon: DaemonProcess, sender: UnitSender, story: Story) -> None:
    sender.send(N_FRAMES)
    wait_for(daemon, sender, lambda c: c.minutes > FIRST_MINUTES)
    killed_pid = raise_calibrator_priority(daemon)
    assert killed_pid is not None
    os.kill(killed_pid, signal.SIGKILL)
    daemon.wait_until(
        lambda: raise_calibrator_priority(daemon) not in (None, killed_pid), TIMEOUT_S
    )
    # Of a killed calibrator, too: on a fast computer its first round has ended.
    daemon.wait_until(lambda: find_judged(daemon, sender), TIMEOUT_S)
    story.movie = find_judged(daemon, sender)
    daemon.wait_until(lambda: daemon.call("status")["inverting"], TIMEOUT_S)
    sender.send(N_LATE, with_stimulus=False)
    daemon.wait_until(lambda: daemon.messages_of(messages.Movie), TIMEOUT_S)
    (story.recording,) = daemon.recordings(sender.sender.session)
    replace_encoder(story.recording.path / ENCODER_FILE, 2)
    progress = msgspec.structs.replace(
        story.movie[-1], n_encoders=2, warning="a clock is wrong"
    )
    publish_as_calibrator(daemon, progress)
    daemon.wait_until(lambda: find_sentences(daemon, "uses encoder 2"), TIMEOUT_S)
    daemon.wait_until(lambda: list_warnings(daemon))
    story.warnings = list_warnings(daemon)
    n_movies = len(daemon.messages_of(messages.Movie))
    sender.send(N_LATE, with_stimulus=False)
    daemon.wait_until(
        lambda: len(daemon.messages_of(messages.Movie)) > n_movies, TIMEOUT_S
    )
    story.without_stimulus = wait_for(daemon, sender, lambda c: True)
    daemon.wait_until(lambda: not daemon.newest_health().conditions.get("stimulus lag"))
    daemon.wait_until(lambda: is_processed(daemon, sender.n_sent))
    story.health, story.n_sent = daemon.newest_health(), sender.n_sent
    story.events = daemon.messages_of(messages.Event)
    story.movies = daemon.messages_of(messages.Movie)
    (story.recording,) = daemon.recordings(sender.sender.session)  # as it is now


def find_judged(daemon: DaemonProcess, sender: UnitSender) -> list:
    """Return what calibrators said of the first encoder and its movie."""
    published = daemon.messages_of(messages.Calibration)
    of_session = [c for c in published if c.session == sender.sender.session]
    return [c for c in of_session if c.n_encoders == 1 and c.movie_r is not None]


def find_sentences(daemon: DaemonProcess, part: str) -> list[str]:
    sentences = [event.message for event in daemon.events_named("encoder")]
    return [sentence for sentence in sentences if part in sentence]


def list_warnings(daemon: DaemonProcess) -> list[str]:
    """Return every warning about the stimulus that was a condition of the daemon."""
    published = daemon.messages_of(messages.Health)
    of_health = (health.conditions.get("stimulus lag") for health in published)
    return [warning for warning in of_health if warning]


def is_processed(daemon: DaemonProcess, n_sent: int) -> bool:
    health = daemon.newest_health()
    return health is not None and health.frames_processed == n_sent


def wait_for(daemon: DaemonProcess, sender: UnitSender, condition) -> list:
    """Wait for a new message of the calibrator; return those of the session."""
    seen = len(daemon.messages_of(messages.Calibration))

    def find() -> list[messages.Calibration]:
        new = daemon.messages_of(messages.Calibration)[seen:]
        of_session = [c for c in new if c.session == sender.sender.session]
        return [c for c in of_session if condition(c)]

    daemon.wait_until(find, TIMEOUT_S)
    return find()


def test_a_picture_that_stands_still_trains_nothing(story):
    assert "show natural movies" in story.still[-1].missing
    assert story.still[-1].n_responsive is None
    assert story.still[-1].n_encoders == 0


def test_an_encoder_is_handed_over_although_the_calibrator_was_killed(story):
    progress = story.movie[-1]
    assert progress.n_neurons == N_UNITS
    assert progress.n_responsive > N_UNITS / 2
    assert progress.movie_r > progress.null_movie_r + 0.1
    exits = [event for event in story.events if event.name == "calibrator"]
    assert ["started again" in event.message for event in exits] == [True]
    handovers = [event for event in story.events if event.name == "encoder"]
    assert "the first encoder of this session is ready" in handovers[0].message


def test_the_movie_begins_in_the_same_session_and_no_frame_is_lost(story):
    assert {movie.session for movie in story.movies} == {story.recording.about.session}
    assert story.health.session == story.recording.about.session
    assert story.health.frames_received == story.n_sent
    assert not any(story.health.lost.values())
    assert story.health.has_inverter


def test_a_running_inverter_takes_a_newer_encoder(story):
    sentences = [event.message for event in story.events if event.name == "encoder"]
    assert sentences[-1] == "the inverter uses encoder 2 of this session"
    exits = [event for event in story.events if event.name == "inverter"]
    assert not exits  # it was not started again


def test_a_warning_of_the_calibrator_is_a_condition_of_the_daemon_until_it_is_over(
    story,
):
    assert set(story.warnings) == {"a clock is wrong"}
    assert not story.health.conditions.get("stimulus lag")


def test_the_minutes_stop_when_the_stimulus_stops(story):
    last = story.without_stimulus[-1]
    n_known: Array = story.recording.stimulus["encoder_frame"]
    assert last.minutes <= len(n_known) / 1800
    assert last.n_encoders == 1


def test_the_session_holds_the_encoder_its_report_and_its_progress(story):
    path = story.recording.path
    card = read_card(path / ENCODER_FILE)
    assert len(card.rois) == N_UNITS
    assert card.metadata["calibration"] == {
        "session": story.recording.about.session,
        "n_encoders": 2,
    }
    assert (path / "encoder-training.png").is_file()
    assert Session(path).calibration[-1].n_encoders == 1  # as the calibrator knows
