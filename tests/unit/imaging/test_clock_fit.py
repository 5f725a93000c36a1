"""Other clocks on the microscope's, against clocks whose truth is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.imaging.timing.clock_fit import TOGETHER_S, ClockFit, Clocks
from rtrecon.protocol import messages
from rtrecon.session.summary import summarise
from rtrecon.simulate.clocks import Clock
from rtrecon.testing.daemon_process import RATE_HZ, Daemon, Scope, small_settings
from rtrecon.transport.aside import Aside

NOW_S = 1.7e9  # what a wall clock shows

# a clock, pairs in a second, rank -> the most that its time may be off after a minute,
# ms
EDGES = Clock(NOW_S, 5e-5, jitter_s=1e-3)
LATE = Clock(NOW_S, -1e-4, delay_s=5e-3)
FITS = {
    "exact": (Clock(NOW_S, 0.0), 30, 0.5, 0.001),
    "a clock set years off": (Clock(-NOW_S, 1e-4), 30, 0.5, 0.02),
    "edges that jitter": (EDGES, 1, 0.5, 1.0),
    "frames that are told late": (LATE, 30, 1.0, 1.0),
    "many frames that are told late": (LATE, 200, 1.0, 1.0),
    "a wall clock being set right": (Clock(NOW_S, 4e-4, delay_s=1e-3), 30, 1.0, 1.0),
}


def paired(clock: Clock, seconds: float, rate_hz: float, rank: float = 0.5) -> ClockFit:
    fit, rng = ClockFit(rank), np.random.default_rng(0)
    ours_s = np.arange(0, seconds, 1 / rate_hz)
    for theirs, ours in zip(clock.reads(ours_s, rng), ours_s, strict=True):
        fit.add(theirs, ours)
    return fit


def error_ms(fit: ClockFit, clock: Clock, t_s: float) -> float:
    found = fit.ours(float(clock.shows(np.array(t_s))))
    assert found is not None
    return 1e3 * abs(found - t_s)


@pytest.mark.parametrize("case", FITS)
def test_offset_and_drift_are_found(case):
    clock, rate_hz, rank, most_ms = FITS[case]
    fit = paired(clock, 90.0, rate_hz, rank)
    for t_s in (60.0, 90.0, 95.0):  # the past, now, and what is said before the next
        assert error_ms(fit, clock, t_s) < most_ms


@pytest.mark.parametrize("seconds", [0.02, 0.5, 3.0, 10.0])
def test_from_the_first_pair_on_there_is_an_answer(seconds):
    clock = Clock(NOW_S, 1e-4, jitter_s=5e-4)
    assert error_ms(paired(clock, seconds, 50), clock, seconds) < 3.0
    assert ClockFit().ours(1.0) is None


def test_a_quarter_of_pairs_may_be_of_something_else():
    fit, rng = ClockFit(), np.random.default_rng(1)
    for second in range(60):
        strange = rng.random() < 0.25
        fit.add(NOW_S + second + strange * rng.uniform(-0.04, 0.04), float(second))
    assert error_ms(fit, Clock(NOW_S, 0.0), 60.0) < 2.0


def test_a_clock_that_was_set_is_followed_again_within_seconds():
    fit = paired(Clock(NOW_S, 0.0), 60.0, 30)
    after = Clock(NOW_S + 1.5, 0.0)
    for t_s in np.arange(60.0, 65.0, 1 / 30):
        fit.add(float(after.shows(t_s)), t_s)
    assert error_ms(fit, after, 65.0) < 0.01


def test_it_says_how_far_off_each_second_was():
    clock = Clock(NOW_S, 5e-5, jitter_s=2e-3)
    fit, rng = ClockFit(), np.random.default_rng(2)
    ours_s = np.arange(0, 120.0, 0.5)
    told = [
        fit.add(theirs, ours)
        for theirs, ours in zip(clock.reads(ours_s, rng), ours_s, strict=True)
    ]
    off_s = [each for each in told if each is not None]
    assert 80 < len(off_s) < 119  # about one a second
    assert 0.5e-3 < np.sqrt(np.mean(np.square(off_s))) < 4e-3


# -- whose clock ---------------------------------------------------------------------


def frame(n: int, t: float, t_send: float) -> messages.Frame:
    return messages.Frame(session="m", seq=n, frame=n, t=t, t_send=t_send, shape=(1, 1))


def edge(session: str, t: float | None, t_send: float, value: int = 1) -> messages.Sync:
    return messages.Sync(
        session=session, seq=0, t=t, t_send=t_send, line=0, value=value
    )


def test_a_program_without_edges_has_the_wall_clock():
    clocks = Clocks()
    assert clocks.ours("stimulus", NOW_S) is None
    for n in range(60):
        clocks.frame(frame(n, n / 30, NOW_S + n / 30))
    assert clocks.ours("stimulus", NOW_S + 1.0) == pytest.approx(1.0, abs=1e-6)
    assert clocks.error.percentiles().n == 0  # a first second cannot be off


def stimulus_program(
    n: int, clock: Clock, gap_s: float = 1.0, delay_s: float = 0.02
) -> Clocks:
    """Edges as both saw them; the program's own come to the daemon a little later."""
    clocks = Clocks()
    for k in range(n):
        t = 10.0 + gap_s * k
        clocks.frame(frame(k, t, NOW_S + t))
        clocks.sync(edge("m", t, NOW_S + t, k % 2), told_s=t)
        theirs = float(clock.shows(np.array(t)))
        clocks.sync(edge("p", None, theirs, k % 2), told_s=t + delay_s)
    return clocks


def test_edges_that_both_have_seen_tell_a_clock_of_its_own():
    clock = Clock(4321.0, 8e-5)
    clocks = stimulus_program(30, clock)
    t_s = 39.5
    found = clocks.ours("p", float(clock.shows(np.array(t_s))))
    assert found == pytest.approx(t_s, abs=1e-4)
    # Others still have the wall clock.
    assert clocks.ours("q", NOW_S + t_s) == pytest.approx(t_s, abs=1e-4)


def test_it_matters_not_who_tells_of_an_edge_first():
    clock = Clock(4321.0, 0.0)
    clocks = Clocks()
    for k in range(10):
        clocks.sync(edge("p", None, 4321.0 + k), told_s=k)
        clocks.sync(edge("m", float(k), NOW_S), told_s=k + 0.1)
    assert clocks.ours("p", float(clock.shows(np.array(9.0)))) == pytest.approx(9.0)


@pytest.mark.parametrize("gap_s", [TOGETHER_S / 5, TOGETHER_S / 3])
def test_edges_that_cannot_be_told_apart_are_not_used(gap_s):
    clocks = stimulus_program(30, Clock(4321.0, 0.0), gap_s, delay_s=2.5 * gap_s)
    # All but the first were more than one edge of the microscope's: at most that one
    # says something, and it cannot be wrong by more than the time of two.
    found = clocks.ours("p", 4321.0 + 10.0)
    assert found is None or found == pytest.approx(10.0, abs=TOGETHER_S) or found < 0


def test_edges_on_another_line_or_too_late_are_not_the_same():
    clocks = Clocks()
    clocks.sync(edge("m", 1.0, NOW_S), told_s=0.0)
    clocks.sync(edge("p", None, 5.0, value=0), told_s=0.0)
    clocks.sync(edge("p", None, 5.0), told_s=TOGETHER_S + 0.01)
    assert clocks.ours("p", 5.0) is None


# -- through the daemon ----------------------------------------------------------------


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A stimulus program with a clock of its own, and a camera with the wall clock."""
    folder = tmp_path_factory.mktemp("clocks")
    settings = small_settings(folder)
    with (
        Daemon(folder, settings) as daemon,
        Scope(daemon) as scope,
        Aside(settings.wire.frames) as stimulus,
        Aside(settings.wire.frames) as camera,
    ):
        scope.scan(1)
        for program in (stimulus, camera):
            daemon.until(lambda program=program: is_heard(program))
        for k in range(30):
            second(scope, stimulus, camera, k)
        scope.until_processed()
        daemon.until(lambda: "align_error" in daemon.health().latency_ms)
        assert daemon.ask("stop")["ok"]
        daemon.process.wait()
        (record,) = daemon.records(scope.session)
    return record, daemon


def is_heard(program: Aside) -> bool:
    """Say something that nobody will match, as soon as the daemon takes it."""
    return program.send(messages.Sync, t_send=0.0, line=9, value=9)


OWN = Clock(777.0, 0.0)


def second(scope: Scope, stimulus: Aside, camera: Aside, k: int) -> None:
    """One frame; before it a mouse's pupil, an edge that both see, and an image."""

    def say(program: Aside, kind: type, *image: np.ndarray, **fields: object) -> None:
        scope.daemon.until(lambda: program.send(kind, *image, **fields))

    t = scope.sent / RATE_HZ
    own = float(OWN.shows(np.array(t)))
    image = np.full((36, 64), k, np.uint8)
    scope.sender.sync(t, line=1, value=k)
    say(stimulus, messages.Sync, t_send=own, line=1, value=k)
    shown = {"t_send": own, "clip": "c", "index": k, "shape": image.shape}
    say(stimulus, messages.Stimulus, image, **shown)
    say(camera, messages.Behavior, t_send=time.time(), pupil_dilation=float(k))
    scope.scan(1)


def test_a_stimulus_lies_at_its_frame_by_the_edges(session):
    record, _ = session
    index, images = record.stimulus["index"], record.stimulus.values()
    assert index[-20:] == pytest.approx(images[-20:, 0, 0] + 1)


def test_behaviour_is_put_on_the_microscopes_clock(session):
    record, _ = session
    behavior = record.behavior
    assert behavior["pupil_dilation"].tolist() == list(range(30))
    assert (behavior["t"] < record.frames["t"][-1] + 60).all()


def test_every_edge_is_recorded_once_as_each_saw_it(session):
    record, _ = session
    sync = record.sync
    line, ours = sync["line"] == 1, np.isfinite(sync["t"])
    ours, theirs = line & ours, line & ~ours
    assert sync["value"][ours].tolist() == sync["value"][theirs].tolist()
    assert sync["value"][ours].tolist() == list(range(30))
    apart_s = sync["t_send"][theirs] - sync["t"][ours]
    assert apart_s == pytest.approx(OWN.offset_s)


def test_the_summary_tells_how_well_clocks_are_known(session):
    record, daemon = session
    told = daemon.health().latency_ms["align_error"]
    summary = summarise(record)["align_error_ms"]
    if told.n:
        assert summary["p50"] == pytest.approx(told.p50)
    else:
        assert summary is None
