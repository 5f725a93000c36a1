"""Wrong clocks of stimulus and behaviour computers, found from arrival times."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.arrival_clock import (
    MIN_CLOCK_ERROR_S,
    ArrivalClocks,
    ArrivalDelay,
)
from rtrecon.protocol import messages

NOW_S = 1.7e9  # what a wall clock shows at the start
RATE_HZ = 30.0
SENDER = "stimulus program"


def make_frame(t_s: float, wall_s: float) -> messages.Frame:
    return messages.Frame(
        session="m", seq=0, frame=1, t=t_s, t_send=wall_s, shape=(1, 1)
    )


def make_stimulus(t_send_s: float) -> messages.StimulusFrame:
    return messages.StimulusFrame(
        session=SENDER, seq=0, clip="c", index=0, t_send=t_send_s
    )


class Rig:
    """A microscope and a stimulus computer, frame by frame, in real time.

    error_s: how far the clock of the stimulus computer is ahead. scope_error_s: how far
    that of the microscope's computer is. delay_s: mean of the exponential delay of
    messages.
    """

    def __init__(self, error_s: float, drift: float = 0.0, delay_s: float = 2e-3):
        self.clocks = ArrivalClocks()
        self.error_s, self.scope_error_s = error_s, 0.0
        self.t_s = 0.0
        self._drift, self._delay_s = drift, delay_s
        self._rng = np.random.default_rng(0)
        self.placed_s: list[float | None] = []  # error of each stimulus, if corrected
        self.notices: list[str] = []

    def run(self, seconds: float, speed: float = 1.0) -> None:
        for _ in range(round(seconds * RATE_HZ)):
            self.t_s += 1 / RATE_HZ
            now_s = self.t_s / speed
            frame = make_frame(self.t_s, NOW_S + self.t_s + self.scope_error_s)
            self.clocks.add_frame(frame, now_s + self._delay())
            t_send = NOW_S + self.t_s + self.error_s + self._drift * self.t_s
            self.clocks.add_message(make_stimulus(t_send), now_s + self._delay())
            found = self.clocks.to_microscope_time(SENDER, t_send)
            self.placed_s.append(None if found is None else found - self.t_s)
            self.notices += self.clocks.take_notices()

    def _delay(self) -> float:
        return float(self._rng.exponential(self._delay_s))


@pytest.mark.parametrize("error_s", [2.5, 3600.0, -7.0, 0.3, -1.2])
def test_stimuli_of_a_wrong_clock_are_placed_at_their_frame(error_s):
    rig = Rig(error_s)
    rig.run(12.0)
    placed = np.array(rig.placed_s[45:], float)  # the first second decides
    assert np.abs(placed).max() < 0.5 / RATE_HZ


@pytest.mark.parametrize(
    ("error_s", "words"), [(12.3, "12.3 s ahead of"), (-7.0, "7.0 s behind")]
)
def test_a_wrong_clock_is_reported_once(error_s, words):
    rig = Rig(error_s)
    rig.run(20.0)
    assert rig.notices == [
        f"the clock of the stimulus computer is {words} the microscope's; times "
        "are corrected by when messages arrive"
    ]


@pytest.mark.parametrize("error_s", [0.0, 0.1, -0.1])
def test_a_clock_that_is_set_by_ntp_is_trusted(error_s):
    rig = Rig(error_s, delay_s=0.02)
    rig.run(20.0)
    assert rig.notices == []
    assert set(rig.placed_s) == {None}
    assert not rig.clocks.is_undecided(SENDER)


@pytest.mark.parametrize("error_s", [2.5, 3600.0, -7.0])
def test_a_wrong_clock_is_corrected_as_soon_as_it_is_decided(error_s):
    """The frames may decide: those that arrive first can be late, as at a start."""
    clocks = ArrivalClocks()
    for k in range(round(3 * RATE_HZ)):
        t_s = k / RATE_HZ
        stimulus = make_stimulus(NOW_S + t_s + error_s)
        clocks.add_message(stimulus, t_s + 1e-3)
        late_s = 0.4 if t_s < 1.0 else 0.0
        clocks.add_frame(make_frame(t_s, NOW_S + t_s), t_s + 2e-3 + late_s)
        is_corrected = clocks.to_microscope_time(SENDER, NOW_S) is not None
        assert is_corrected or clocks.is_undecided(SENDER)
    assert is_corrected


def test_drift_is_followed():
    rig = Rig(5.0, drift=1e-4)
    rig.run(300.0)
    assert np.abs(np.array(rig.placed_s[-900:], float)).max() < 0.5 / RATE_HZ


@pytest.mark.parametrize("step_s", [3.0, -3.0])
@pytest.mark.parametrize("whose", ["error_s", "scope_error_s"])
def test_a_clock_that_is_set_during_the_session_is_followed(step_s, whose):
    rig = Rig(10.0)
    rig.run(15.0)
    setattr(rig, whose, getattr(rig, whose) + step_s)
    rig.run(15.0)
    after = np.array(rig.placed_s[-12 * round(RATE_HZ) :], float)
    assert np.abs(after).max() < 0.5 / RATE_HZ
    assert len(rig.notices) == 2  # the first error, and the new one


@pytest.mark.parametrize("step_s", [3.0, -3.0])
def test_it_is_undecided_whether_a_clock_was_set_until_it_is_certain(step_s):
    rig = Rig(0.0)
    rig.run(10.0)
    rig.error_s = step_s
    rig.run(0.2)
    assert rig.clocks.is_undecided(SENDER)
    rig.run(2.5)
    assert not rig.clocks.is_undecided(SENDER)
    assert rig.placed_s[-1] == pytest.approx(0.0, abs=0.5 / RATE_HZ)


@pytest.mark.parametrize("speed", [0.5, 2.0, 10.0])
def test_a_replay_at_another_speed_says_nothing_about_clocks(speed):
    rig = Rig(0.0)
    rig.run(60.0, speed)
    assert rig.notices == []


def test_one_wrong_time_stamp_does_no_lasting_harm():
    delay = ArrivalDelay()
    for k in range(300):
        t_s = k / RATE_HZ
        delay.add_message(t_s + (1e6 if k == 150 else 0.0), t_s + 1e-3)
    assert delay.delay_s == pytest.approx(1e-3)


def test_a_queue_that_empties_is_no_step_of_the_clock():
    delay = ArrivalDelay()
    for k in range(300):
        t_s = k / RATE_HZ
        delay.add_message(t_s, t_s + 1e-3)
    for k in range(60):  # sent in two seconds, and received in half a second
        delay.add_message(10.0 + k / RATE_HZ, 12.0 + k / 120)
    assert delay.delay_s == pytest.approx(1e-3)


def test_errors_below_the_threshold_are_described_in_milliseconds():
    rig = Rig(-MIN_CLOCK_ERROR_S / 5, delay_s=1e-6)
    rig.run(5.0)
    assert rig.clocks.describe_errors() == ["stimulus clock 0.050 s behind"]
