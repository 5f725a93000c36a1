"""Programs beside the daemon that act on events, run as their users run them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.publisher import Publisher
from tests.support.octave import finished, jeromq, start
from tests.support.paths import BRIDGE

PROGRAM = BRIDGE / "python" / "reacting.py"
SECONDS = 1.5
PAUSE_S = 0.05

# One round of what a reactor tells.
ROUND = [
    {"name": "react", "rule": "lost", "value": 0.5},
    {"name": "react", "rule": "another", "value": 0.25},
    {"name": "react", "rule": "lost", "value": 7.0, "dry_run": True},
    {"name": "release", "rule": "lost", "value": 0.75},
    {"name": "mark", "message": "a note, and no rule at all"},
]


@pytest.fixture
def gratings():
    spec = importlib.util.spec_from_file_location("reacting", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Gratings("lost")


@pytest.fixture
def publisher(free_address) -> Iterator[tuple[Publisher, str]]:
    address, context = free_address(), zmq.Context()
    with sockets.bind(context, zmq.PUB, address) as out:
        yield Publisher(out), address
    context.term()


def tell_until_ended(publisher: Publisher, process: subprocess.Popen[str]) -> None:
    """Tell rounds, one event at a time, as long as somebody may listen."""
    while process.poll() is None:
        for event in ROUND:
            publisher.send(messages.Event, **event)
            time.sleep(PAUSE_S)


def test_gratings_turn_when_the_rule_fires_and_vanish_when_it_is_over(gratings):
    angles = []
    for event in 5 * ROUND:
        gratings.hear({"rule": "", "dry_run": False, **event})
        angles.append(gratings.angle_deg)
    for turn, expected in enumerate([0.0, 45.0, 90.0, 135.0, 0.0]):
        told = angles[turn * len(ROUND) : (turn + 1) * len(ROUND)]
        assert told == [expected, expected, expected, None, None]
    assert gratings.turns == 5


def test_the_stimulus_program_reacts(publisher):
    out, address = publisher
    arguments = ["--address", address, "--seconds", str(SECONDS)]
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "lost", "--no-window", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    tell_until_ended(out, process)
    said, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, "")
    *changes, last = said.splitlines()
    assert last.endswith("reactions")
    assert int(last.split()[0]) > 0
    assert any(change.startswith("0 degrees, ") for change in changes)
    assert any(change.startswith("grey, ") for change in changes)


def test_a_matlab_program_reacts(publisher):
    out, address = publisher
    process = start(f"""
        javaaddpath('{jeromq()}');
        addpath('{(BRIDGE / "matlab" / "examples").as_posix()}');
        act = @(event) printf('%s %g\\n', event.rule, event.value);
        while isempty(rtrecon_events('address', '{address}')), end
        n = react_to_rule('lost', act, {SECONDS}, 'address', '{address}');
        printf('%d\\n', n);
    """)
    tell_until_ended(out, process)
    lines = finished(process).splitlines()
    acted = [line for line in lines if line == "lost 0.5"]
    dry = [line for line in lines if line.startswith("dry run: ")]
    assert acted
    assert len(lines) == len(acted) + len(dry) + 1
    assert int(lines[-1]) == len(acted)
