"""Times of other clocks on the microscope's clock, for clocks that are known."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.clock_fit import MAX_EDGE_DELAY_S, ClockFit, ClockRegistry
from rtrecon.protocol import messages
from rtrecon.simulate.clocks import SimulatedClock

NOW_S = 1.7e9  # what a wall clock shows

# a clock, pairs in a second, rank -> the most that its time may be off after a minute,
# ms
EDGES = SimulatedClock(NOW_S, 5e-5, jitter_s=1e-3)
LATE = SimulatedClock(NOW_S, -1e-4, delay_s=5e-3)
FITS = {
    "exact": (SimulatedClock(NOW_S, 0.0), 30, 0.5, 0.001),
    "a clock set years off": (SimulatedClock(-NOW_S, 1e-4), 30, 0.5, 0.02),
    "edges that jitter": (EDGES, 1, 0.5, 1.0),
    "frames that arrive late": (LATE, 30, 1.0, 1.0),
    "many frames that arrive late": (LATE, 200, 1.0, 1.0),
    "a wall clock being set right": (
        SimulatedClock(NOW_S, 4e-4, delay_s=1e-3),
        30,
        1.0,
        1.0,
    ),
}


def paired(
    clock: SimulatedClock, seconds: float, rate_hz: float, rank: float = 0.5
) -> ClockFit:
    fit, rng = ClockFit(rank), np.random.default_rng(0)
    ours_s = np.arange(0, seconds, 1 / rate_hz)
    for theirs, ours in zip(clock.read_time(ours_s, rng), ours_s, strict=True):
        fit.add_pair(theirs, ours)
    return fit


def error_ms(fit: ClockFit, clock: SimulatedClock, t_s: float) -> float:
    found = fit.to_reference_time(float(clock.clock_time(np.array(t_s))))
    assert found is not None
    return 1e3 * abs(found - t_s)


@pytest.mark.parametrize("case", FITS)
def test_offset_and_drift_are_found(case):
    clock, rate_hz, rank, most_ms = FITS[case]
    fit = paired(clock, 90.0, rate_hz, rank)
    for t_s in (60.0, 90.0, 95.0):  # the past, now, and a prediction
        assert error_ms(fit, clock, t_s) < most_ms


@pytest.mark.parametrize("seconds", [0.02, 0.5, 3.0, 10.0])
def test_times_can_be_converted_from_the_first_pair_on(seconds):
    clock = SimulatedClock(NOW_S, 1e-4, jitter_s=5e-4)
    assert error_ms(paired(clock, seconds, 50), clock, seconds) < 3.0
    assert ClockFit().to_reference_time(1.0) is None


def test_a_quarter_of_wrong_pairs_does_no_harm():
    fit, rng = ClockFit(), np.random.default_rng(1)
    for second in range(60):
        strange = rng.random() < 0.25
        fit.add_pair(NOW_S + second + strange * rng.uniform(-0.04, 0.04), float(second))
    assert error_ms(fit, SimulatedClock(NOW_S, 0.0), 60.0) < 2.0


def test_a_clock_that_was_set_is_followed_within_seconds():
    fit = paired(SimulatedClock(NOW_S, 0.0), 60.0, 30)
    after = SimulatedClock(NOW_S + 1.5, 0.0)
    for t_s in np.arange(60.0, 65.0, 1 / 30):
        fit.add_pair(float(after.clock_time(t_s)), t_s)
    assert error_ms(fit, after, 65.0) < 0.01


def test_the_error_of_each_second_is_returned():
    clock = SimulatedClock(NOW_S, 5e-5, jitter_s=2e-3)
    fit, rng = ClockFit(), np.random.default_rng(2)
    ours_s = np.arange(0, 120.0, 0.5)
    errors = [
        fit.add_pair(theirs, ours)
        for theirs, ours in zip(clock.read_time(ours_s, rng), ours_s, strict=True)
    ]
    off_s = [error for error in errors if error is not None]
    assert 80 < len(off_s) < 119  # about one a second
    assert 0.5e-3 < np.sqrt(np.mean(np.square(off_s))) < 4e-3


# -- the registry of clocks -----------------------------------------------------------


def frame(n: int, t: float, t_send: float) -> messages.Frame:
    return messages.Frame(session="m", seq=n, frame=n, t=t, t_send=t_send, shape=(1, 1))


def edge(
    session: str, t: float | None, t_send: float, value: int = 1
) -> messages.SyncEdge:
    return messages.SyncEdge(
        session=session, seq=0, t=t, t_send=t_send, line=0, value=value
    )


def test_a_program_without_edges_uses_the_wall_clock():
    clocks = ClockRegistry()
    assert clocks.to_microscope_time("stimulus", NOW_S) is None
    for n in range(60):
        clocks.add_frame(frame(n, n / 30, NOW_S + n / 30))
    assert clocks.to_microscope_time("stimulus", NOW_S + 1.0) == pytest.approx(
        1.0, abs=1e-6
    )
    assert clocks.error_histogram.percentiles().n == 0  # a first second cannot be off


def stimulus_program(
    n: int, clock: SimulatedClock, gap_s: float = 1.0, delay_s: float = 0.02
) -> ClockRegistry:
    """Edges as both saw them; the program's own come to the daemon a little later."""
    clocks = ClockRegistry()
    for k in range(n):
        t = 10.0 + gap_s * k
        clocks.add_frame(frame(k, t, NOW_S + t))
        clocks.add_sync_edge(edge("m", t, NOW_S + t, k % 2), t_received_s=t)
        theirs = float(clock.clock_time(np.array(t)))
        clocks.add_sync_edge(edge("p", None, theirs, k % 2), t_received_s=t + delay_s)
    return clocks


def test_edges_that_both_have_seen_align_the_programs_clock():
    clock = SimulatedClock(4321.0, 8e-5)
    clocks = stimulus_program(30, clock)
    t_s = 39.5
    found = clocks.to_microscope_time("p", float(clock.clock_time(np.array(t_s))))
    assert found == pytest.approx(t_s, abs=1e-4)
    # Others still have the wall clock.
    assert clocks.to_microscope_time("q", NOW_S + t_s) == pytest.approx(t_s, abs=1e-4)


def test_the_order_in_which_an_edge_is_reported_does_not_matter():
    clock = SimulatedClock(4321.0, 0.0)
    clocks = ClockRegistry()
    for k in range(10):
        clocks.add_sync_edge(edge("p", None, 4321.0 + k), t_received_s=k)
        clocks.add_sync_edge(edge("m", float(k), NOW_S), t_received_s=k + 0.1)
    assert clocks.to_microscope_time(
        "p", float(clock.clock_time(np.array(9.0)))
    ) == pytest.approx(9.0)


@pytest.mark.parametrize("gap_s", [MAX_EDGE_DELAY_S / 5, MAX_EDGE_DELAY_S / 3])
def test_ambiguous_edges_are_not_used(gap_s):
    clocks = stimulus_program(
        30, SimulatedClock(4321.0, 0.0), gap_s, delay_s=2.5 * gap_s
    )
    # All but the first match more than one edge of the microscope; at most the first is
    # used, and its error cannot exceed the time between two edges.
    found = clocks.to_microscope_time("p", 4321.0 + 10.0)
    assert (
        found is None or found == pytest.approx(10.0, abs=MAX_EDGE_DELAY_S) or found < 0
    )


def test_edges_on_another_line_or_too_late_do_not_match():
    clocks = ClockRegistry()
    clocks.add_sync_edge(edge("m", 1.0, NOW_S), t_received_s=0.0)
    clocks.add_sync_edge(edge("p", None, 5.0, value=0), t_received_s=0.0)
    clocks.add_sync_edge(edge("p", None, 5.0), t_received_s=MAX_EDGE_DELAY_S + 0.01)
    assert clocks.to_microscope_time("p", 5.0) is None
