"""The closed loop whole: a daemon, its reactor and a user's function, all real.

How fast the mouse runs is told by the test: so it decides when rules fire.
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
from rtrecon.config import ReactSettings, RoiSettings
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    SLOW_S,
    Daemon,
    Scope,
    rtrecon,
    settings_in,
    small_settings,
)

OWN = """
    import json
    import time
    from pathlib import Path

    def react(event):
        if event.value > 100:
            time.sleep(1000)
        with Path(__file__).with_name("notes.jsonl").open("a") as notes:
            notes.write(json.dumps([event.session, event.rule, event.frame]) + chr(10))
"""
RUNS = "activity.behavior[1] > 10"
RULES = {
    "rules": [
        {"name": "active", "when": "mean(activity) > -1e9"},
        {"name": "runs", "when": RUNS, "until": 5, "outputs": ["mine"]},
        {"name": "dry", "when": RUNS, "dry_run": True, "outputs": ["mine"]},
        {"name": "nobody", "when": "sum(activity[2, 9999]) > -1e9"},
        {"name": "front", "when": "health.front.frames_processed > 0"},
    ],
}


@contextmanager
def reacting(folder: Path) -> Iterator[Daemon]:
    """A daemon with these rules, its reactor up."""
    (folder / "own.py").write_text(textwrap.dedent(OWN))
    own = {"function": f"{folder / 'own.py'}:react", "deadline_s": 2.0}
    react = ReactSettings.model_validate({**RULES, "python": {"mine": own}})
    with Daemon(folder, small_settings(folder, react=react)) as daemon:
        daemon.until(lambda: daemon.health("reactor") is not None, SLOW_S)
        yield daemon


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("react")


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    with reacting(folder) as daemon:
        yield daemon


@pytest.fixture
def scope(daemon: Daemon) -> Iterator[Scope]:
    with Scope(daemon) as scope:
        yield scope


def told(scope: Scope, rule: str, name: str = "react") -> list[messages.Event]:
    events = scope.daemon.events(name)
    return [e for e in events if e.rule == rule and e.session == scope.session]


def said(scope: Scope) -> str:
    """What the reactor had to tell about itself in this session."""
    events = scope.daemon.events("reactor")
    return "\n".join(e.message for e in events if e.session == scope.session)


def run_at(scope: Scope, speed: float) -> None:
    scope.sender.behavior(scope.sent / 30, running_speed=speed)


def noted(folder: Path, scope: Scope) -> list[list]:
    path = folder / "notes.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [note for note in map(json.loads, lines) if note[0] == scope.session]


def test_a_rule_fires_and_everybody_hears_it(scope):
    scope.scan_until(lambda: told(scope, "active"))
    [event] = told(scope, "active")
    activity = [
        a for a in scope.daemon.all(messages.Activity) if a.frame == event.frame
    ]
    assert activity[-1].t_frame <= event.t_frame == activity[-1].t_newest <= event.t
    assert not activity[-1].late
    assert event.message.startswith("rule 'active': mean(activity) > -1e9; it is ")
    assert not event.dry_run
    scope.scan_until(lambda: told(scope, "front"))
    assert told(scope, "front")[0].frame is None

    def measured() -> bool:
        health = scope.daemon.health("reactor")
        latency = health.latency_ms.get("frame_to_event")
        return health.session == scope.session and bool(latency and latency.n == 1)

    scope.scan_until(measured)
    latency = scope.daemon.health("reactor").latency_ms["frame_to_event"]
    assert latency.max == pytest.approx((event.t - event.t_frame) * 1e3)


def test_it_fires_again_only_after_its_value_was_back(scope, folder):
    run_at(scope, 20.0)
    scope.scan_until(lambda: told(scope, "runs"))
    run_at(scope, 7.0)  # not back yet
    scope.scan(10)
    run_at(scope, 20.0)
    scope.scan(10)
    run_at(scope, 0.0)
    scope.scan_until(lambda: told(scope, "runs", "release"))
    assert len(told(scope, "runs")) == 1
    run_at(scope, 20.0)
    scope.scan_until(lambda: len(told(scope, "runs")) == 2)
    frames = [event.frame for event in told(scope, "runs")]
    scope.scan_until(lambda: len(noted(folder, scope)) == 2)
    assert [note[1:] for note in noted(folder, scope)] == [["runs", f] for f in frames]
    dry = told(scope, "dry")
    assert dry
    assert all(event.dry_run for event in dry)  # and no note was made of them


def test_a_rule_on_neurons_that_are_not_there_is_off_and_says_so(scope):
    scope.scan_until(lambda: "nobody" in said(scope))
    assert "rule 'nobody' is off: this session has no neurons [9999]" in said(scope)
    scope.scan_until(lambda: told(scope, "active"))
    assert not told(scope, "nobody")


def test_neither_a_stalled_function_nor_a_killed_reactor_ends_the_loop(tmp_path):
    with reacting(tmp_path) as daemon, Scope(daemon) as scope:
        run_at(scope, 200.0)
        scope.scan_until(lambda: "was not done after 2 s and was ended" in said(scope))
        run_at(scope, 0.0)
        scope.scan_until(lambda: told(scope, "runs", "release"))
        run_at(scope, 20.0)
        scope.scan_until(lambda: len(noted(tmp_path, scope)) == 1, SLOW_S)

        own = psutil.Process(daemon.process.pid).children()
        [reactor] = [child for child in own if "reactor" in child.cmdline()]
        reactor.kill()
        scope.scan_until(lambda: "the reactor ended" in said(scope))
        # It knows the session again, but not that it had told of it.
        scope.scan_until(lambda: len(told(scope, "active")) == 2, SLOW_S)


def test_events_are_one_count_and_are_recorded(scope):
    run_at(scope, 20.0)
    scope.scan_until(lambda: told(scope, "runs"))
    heard = [e for e in scope.daemon.all(messages.Event) if e.session == scope.session]
    assert [event.seq for event in heard] == list(range(len(heard)))

    def kept() -> list[messages.Event]:
        [record] = scope.daemon.records(scope.session)
        return [e for e in record.events if e.rule == "runs"]

    scope.scan_until(lambda: kept() == told(scope, "runs"))


def test_a_mistake_in_a_rule_is_told_before_the_daemon_starts(tmp_path):
    react = ReactSettings.model_validate(
        {"rules": [{"name": "x", "when": "quality.correlation < 1"}]}
    )
    rois = RoiSettings(units=True)
    file = tmp_path / "settings.json"
    file.write_text(config.dump(settings_in(tmp_path, react=react, rois=rois)))
    answer = rtrecon("run", file)
    assert answer.returncode == 2
    assert "rule 'x': quality has no 'correlation' there" in answer.stderr
    assert "Traceback" not in answer.stderr
