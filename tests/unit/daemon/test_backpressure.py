"""When frames stay at the door, so that a run can be repeated."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rtrecon.config import InvertSettings
from rtrecon.daemon.backpressure import Backpressure

WINDOW, HOP = 12, 6

# encoder frames sent (first, newest), movie told up to -> whether frames are held
AHEAD = {
    "nothing sent": (None, None, False),
    "before the first movie": ((0, 10), None, False),
    "a window before the first movie": ((0, 11), None, True),
    "in the middle of a session": ((1000, 1010), None, False),
    "with the inverter": ((0, 40), 35, False),
    "a window ahead of it": ((0, 47), 35, True),
}


def pace(has_inverter: bool = True, **changes: object) -> Backpressure:
    known = {"deterministic": True, "window_frames": WINDOW, "hop_frames": HOP}
    return Backpressure(InvertSettings(**(known | changes)), has_inverter)


def pipeline(sent: tuple[int, int] | None = None, making: bool = False):
    return SimpleNamespace(sent=sent, making=making)


@pytest.mark.parametrize("case", AHEAD)
def test_frames_wait_when_the_inverter_has_a_window_to_do(case):
    sent, told, held = AHEAD[case]
    given = pace()
    if told is not None:
        given.told(told)
    assert given.holds(pipeline(sent)) is held


def test_frames_wait_while_a_reference_is_made():
    assert pace().holds(pipeline(making=True))
    assert pace(has_inverter=False).holds(pipeline(making=True))


def test_nothing_waits_beside_a_microscope_or_for_nobody():
    far_ahead = pipeline((0, 1000), making=True)
    assert not pace(deterministic=False).holds(far_ahead)
    assert not pace().holds(None)
    assert not pace(has_inverter=False).holds(pipeline((0, 1000)))


def test_an_inverter_that_is_given_up_is_not_waited_for():
    given = pace()
    assert given.holds(pipeline((0, 1000)))
    given.give_up()
    assert not given.holds(pipeline((0, 1000)))


def test_a_new_session_begins_anew():
    given = pace()
    given.told(500)
    given.begin()
    assert given.holds(pipeline((0, WINDOW)))
