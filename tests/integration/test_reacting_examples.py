"""The example programs that react to events of a rule."""

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
from tests.support.octave import read_output, require_jeromq, start_octave
from tests.support.paths import BRIDGE

PROGRAM = BRIDGE / "python" / "reacting.py"
SECONDS = 1.5
PAUSE_S = 0.05

# The events of one round.
ROUND = [
    {"name": "rule_fired", "rule": "lost", "value": 0.5},
    {"name": "rule_fired", "rule": "another", "value": 0.25},
    {"name": "rule_fired", "rule": "lost", "value": 7.0, "dry_run": True},
    {"name": "rule_released", "rule": "lost", "value": 0.75},
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
    with sockets.bind_socket(context, zmq.PUB, address) as out:
        yield Publisher(out), address
    context.term()


def publish_until_ended(publisher: Publisher, process: subprocess.Popen[str]) -> None:
    """Publish rounds, one event at a time, until the process has ended."""
    while process.poll() is None:
        for event in ROUND:
            publisher.publish(messages.Event, **event)
            time.sleep(PAUSE_S)


def test_gratings_turn_when_a_rule_fires_and_vanish_on_release(gratings):
    angles = []
    for event in 5 * ROUND:
        gratings.update({"rule": "", "dry_run": False, **event})
        angles.append(gratings.angle_deg)
    for turn, expected in enumerate([0.0, 45.0, 90.0, 135.0, 0.0]):
        shown = angles[turn * len(ROUND) : (turn + 1) * len(ROUND)]
        assert shown == [expected, expected, expected, None, None]
    assert gratings.turns == 5


def test_the_python_example_reacts_to_a_rule(publisher):
    out, address = publisher
    arguments = ["--address", address, "--seconds", str(SECONDS)]
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "lost", "--no-window", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    publish_until_ended(out, process)
    output, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, "")
    *changes, last = output.splitlines()
    assert last.endswith("reactions")
    assert int(last.split()[0]) > 0
    assert any(change.startswith("0 degrees, ") for change in changes)
    assert any(change.startswith("grey, ") for change in changes)


def test_the_matlab_example_reacts_to_a_rule(publisher):
    out, address = publisher
    process = start_octave(f"""
        javaaddpath('{require_jeromq()}');
        addpath('{(BRIDGE / "matlab" / "examples").as_posix()}');
        act = @(event) printf('%s %g\\n', event.rule, event.value);
        while isempty(rtrecon_events('address', '{address}')), end
        n = react_to_rule('lost', act, {SECONDS}, 'address', '{address}');
        printf('%d\\n', n);
    """)
    publish_until_ended(out, process)
    lines = read_output(process).splitlines()
    acted = [line for line in lines if line == "lost 0.5"]
    dry = [line for line in lines if line.startswith("dry run: ")]
    assert acted
    assert len(lines) == len(acted) + len(dry) + 1
    assert int(lines[-1]) == len(acted)
