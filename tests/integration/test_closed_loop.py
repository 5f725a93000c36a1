"""The whole closed loop: a daemon, its closed-loop process and a user's function.

The tests choose the running speed of the mouse, and with it when rules fire.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rtrecon import config
from rtrecon.config import ClosedLoopSettings, RoiSettings
from rtrecon.protocol import messages
from rtrecon.replay.rule_trial import RuleTrial, try_rules
from rtrecon.testing.daemon_process import (
    START_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)
from tests.support.command_line import run_here

CALLBACK_FILE = """
    import json
    import time
    from pathlib import Path

    def save_call(event):
        if event.value > 100:
            time.sleep(1000)
        with Path(__file__).with_name("calls.jsonl").open("a") as calls:
            calls.write(json.dumps([event.session, event.rule, event.frame]) + chr(10))
"""
RUNNING = "activity.behavior[1] > 10"
RULES = {
    "rules": [
        {"name": "active", "when": "mean(activity) > -1e9"},
        {"name": "running", "when": RUNNING, "until": 5, "outputs": ["callback"]},
        {"name": "dry", "when": RUNNING, "dry_run": True, "outputs": ["callback"]},
        {"name": "missing neuron", "when": "sum(activity[2, 9999]) > -1e9"},
        {"name": "health", "when": "health.daemon.frames_processed > 0"},
    ],
}


@contextmanager
def running_daemon(folder: Path, deadline_s: float = 2.0) -> Iterator[DaemonProcess]:
    """A daemon with these rules, and its closed-loop process.

    deadline_s: within which the user's function has to return.
    """
    (folder / "callback.py").write_text(textwrap.dedent(CALLBACK_FILE))
    function = f"{folder / 'callback.py'}:save_call"
    python = {"callback": {"function": function, "deadline_s": deadline_s}}
    closed_loop = ClosedLoopSettings.model_validate({**RULES, "python": python})
    settings = make_small_settings(folder, closed_loop=closed_loop)
    with DaemonProcess(folder, settings) as daemon:
        daemon.wait_until(
            lambda: daemon.newest_health("closed_loop") is not None, START_TIMEOUT_S
        )
        yield daemon


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closed_loop")


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[DaemonProcess]:
    with running_daemon(folder) as daemon:
        yield daemon


@pytest.fixture
def microscope(daemon: DaemonProcess) -> Iterator[SimulatedMicroscope]:
    with SimulatedMicroscope(daemon) as microscope:
        yield microscope


def rule_events(
    microscope: SimulatedMicroscope, rule: str, name: str = "rule_fired"
) -> list[messages.Event]:
    """The events of a rule in this session."""
    events = microscope.daemon.events_named(name)
    return [e for e in events if e.rule == rule and e.session == microscope.session]


def notices(microscope: SimulatedMicroscope) -> str:
    """What the closed loop reported about itself in this session."""
    events = microscope.daemon.events_named("closed_loop")
    return "\n".join(e.message for e in events if e.session == microscope.session)


def set_running_speed(microscope: SimulatedMicroscope, speed: float) -> None:
    microscope.sender.send_behavior(microscope.n_sent / 30, running_speed=speed)


def saved_calls(folder: Path, microscope: SimulatedMicroscope) -> list[list]:
    """What the user's function saved in this session."""
    path = folder / "calls.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [call for call in map(json.loads, lines) if call[0] == microscope.session]


def test_a_rule_fires_and_its_event_is_published(microscope):
    microscope.send_frames_until(lambda: rule_events(microscope, "active"))
    [event] = rule_events(microscope, "active")
    activity = [
        message
        for message in microscope.daemon.messages_of(messages.Activity)
        if message.frame == event.frame
    ][-1]
    assert activity.t_frame <= event.t_frame == activity.t_newest_frame <= event.t
    assert not activity.is_backlog
    assert event.message.startswith(
        "rule 'active' fired: mean(activity) > -1e9; the value is "
    )
    assert not event.dry_run
    microscope.send_frames_until(lambda: rule_events(microscope, "health"))
    assert rule_events(microscope, "health")[0].frame is None

    def has_latency() -> bool:
        health = microscope.daemon.newest_health("closed_loop")
        latency = health.latency_ms.get("frame_to_event")
        is_new = health.session == microscope.session
        return is_new and bool(latency and latency.n == 1)

    microscope.send_frames_until(has_latency)
    health = microscope.daemon.newest_health("closed_loop")
    latency_ms = health.latency_ms["frame_to_event"].max
    assert latency_ms == pytest.approx((event.t - event.t_frame) * 1e3)


def test_a_rule_fires_again_only_after_its_release(microscope, folder):
    set_running_speed(microscope, 20.0)
    microscope.send_frames_until(lambda: rule_events(microscope, "running"))
    set_running_speed(microscope, 7.0)  # above the release level
    microscope.send_frames(10)
    set_running_speed(microscope, 20.0)
    microscope.send_frames(10)
    set_running_speed(microscope, 0.0)
    microscope.send_frames_until(
        lambda: rule_events(microscope, "running", "rule_released")
    )
    assert len(rule_events(microscope, "running")) == 1
    set_running_speed(microscope, 20.0)
    microscope.send_frames_until(lambda: len(rule_events(microscope, "running")) == 2)
    frames = [event.frame for event in rule_events(microscope, "running")]
    microscope.send_frames_until(lambda: len(saved_calls(folder, microscope)) == 2)
    calls = [call[1:] for call in saved_calls(folder, microscope)]
    assert calls == [["running", frame] for frame in frames]
    dry_events = rule_events(microscope, "dry")
    assert dry_events
    assert all(event.dry_run for event in dry_events)  # and there was no call


def test_a_rule_on_missing_neurons_is_off_and_reported(microscope):
    sentence = "rule 'missing neuron' is off: this session has no neurons [9999]"
    microscope.send_frames_until(lambda: sentence in notices(microscope))
    microscope.send_frames_until(lambda: rule_events(microscope, "active"))
    assert not rule_events(microscope, "missing neuron")


def test_the_loop_survives_a_stalled_function_and_a_killed_process(tmp_path):
    with (
        running_daemon(tmp_path, deadline_s=1.0) as daemon,
        SimulatedMicroscope(daemon) as microscope,
    ):
        set_running_speed(microscope, 200.0)
        stalled = "did not finish within 1 s and was ended"
        microscope.send_frames_until(lambda: stalled in notices(microscope))
        set_running_speed(microscope, 0.0)
        microscope.send_frames_until(
            lambda: rule_events(microscope, "running", "rule_released")
        )
        set_running_speed(microscope, 20.0)
        microscope.send_frames_until(
            lambda: len(saved_calls(tmp_path, microscope)) == 1, START_TIMEOUT_S
        )

        children = psutil.Process(daemon.process.pid).children()
        [process] = [child for child in children if "closed-loop" in child.cmdline()]
        process.kill()
        microscope.send_frames_until(lambda: " ended" in notices(microscope))
        # The new process knows the session, but not that the rule had fired before.
        microscope.send_frames_until(
            lambda: len(rule_events(microscope, "active")) == 2, START_TIMEOUT_S
        )


def test_events_are_numbered_without_gaps_and_recorded(microscope):
    set_running_speed(microscope, 20.0)
    microscope.send_frames_until(lambda: rule_events(microscope, "running"))
    events = microscope.daemon.messages_of(messages.Event)
    seqs = [event.seq for event in events if event.session == microscope.session]
    assert seqs == list(range(len(seqs)))

    def recorded_events() -> list[messages.Event]:
        [recording] = microscope.daemon.recordings(microscope.session)
        return [event for event in recording.events if event.rule == "running"]

    microscope.send_frames_until(
        lambda: recorded_events() == rule_events(microscope, "running")
    )


def test_rules_tried_on_the_recording_fire_as_they_did_live(microscope):
    for speed in (20.0, 0.0, 20.0, 0.0):
        set_running_speed(microscope, speed)
        name = "rule_fired" if speed else "rule_released"
        n_before = len(rule_events(microscope, "running", name))
        microscope.send_frames_until(
            lambda name=name, n=n_before: (
                len(rule_events(microscope, "running", name)) > n
            )
        )
    events = rule_events(microscope, "running")

    def try_recorded() -> dict[str, RuleTrial]:
        [recording] = microscope.daemon.recordings(microscope.session)
        return {trial.rule.name: trial for trial in try_rules(recording.path)}

    # The recording is written twice a second.
    microscope.send_frames_until(lambda: len(try_recorded()["running"].fired_s) == 2)
    trials = try_recorded()
    [recording] = microscope.daemon.recordings(microscope.session)
    start_s = recording.frames["t_received_s"].min()
    fired_s = [event.t - start_s for event in events]
    assert trials["running"].fired_s == pytest.approx(fired_s, abs=0.2)
    assert len(trials["active"].fired_s) == 1
    assert trials["missing neuron"].missing_ids == [9999]


def test_a_mistake_in_a_rule_is_reported_before_the_daemon_starts(tmp_path):
    closed_loop = ClosedLoopSettings.model_validate(
        {"rules": [{"name": "x", "when": "quality.correlation < 1"}]}
    )
    settings = make_settings(
        tmp_path, closed_loop=closed_loop, rois=RoiSettings(unit_rates=True)
    )
    file = tmp_path / "settings.json"
    file.write_text(config.dump(settings))
    answer = run_here("run", file)
    assert answer.returncode == 2
    assert "rule 'x': quality has no 'correlation' there" in answer.stderr
    assert "Traceback" not in answer.stderr
