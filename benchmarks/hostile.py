"""Disturbs a simulated rig for hours, and accounts for every frame that it takes.

    python benchmarks/hostile.py [--minutes 180] [--rigs 1] [--quick]

A simulated rig runs in real time while one fault follows the other: lost frames and
messages, a stage that jumps, a closed shutter, a wrong field, dead senders, clocks that
are set, a full disk, and `kill -9` of each process. Checked: each run of the daemon
accounts for every frame it was sent, each fault is reported and the rig recovers from
it, recordings are readable, and no log has a traceback. Several rigs share the minutes:
they run side by side, which also loads the machine more. Writes
`benchmarks/results/hostile.json` (`hostile.quick.json` with --quick: 10 minutes). Runs
on Linux.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hostile_rig import RATE_HZ, DaemonLife, Disturbance, Rig
from result_files import describe_machine, write_results
from rich import print as show

from rtrecon.session.frame_balance import balance_frames
from rtrecon.session.session import Session, list_sessions
from rtrecon.transport.rpc import RpcError

FULL_MINUTES, QUICK_MINUTES = 180.0, 10.0
_START_S, _FAULT_S = 40.0, 14.0
_MAX_RECOVERY_S, _MIN_CALM_S = 45.0, 6.0
# Frames between the sender's queue and the daemon's counters when the daemon ends: both
# queues, and the time since the last health message.
_MAX_IN_FLIGHT = 32 + 64 + round(2 * RATE_HZ)
_UNREPORTED = ("the display is killed",)  # the daemon does not know it


@dataclass(frozen=True)
class Fault:
    """Something that happens; `end` undoes it after some seconds."""

    begin: Callable[[Rig], None]
    end: Callable[[Rig], None] = lambda rig: None


def disturb(**values: Any) -> Fault:
    """Return a fault that sets fields of the rig's disturbance, and restores them."""

    def begin(rig: Rig) -> None:
        for name, value in values.items():
            setattr(rig.disturbance, name, value)

    def end(rig: Rig) -> None:
        for name in values:
            setattr(rig.disturbance, name, getattr(Disturbance(), name))

    return Fault(begin, end)


def restore_disk(rig: Rig) -> None:
    """Make space on the disk again, and record again, as the daemon's event asks."""
    rig.fill_disk(False)
    rig.call("record", on=False)
    rig.call("record", on=True)


def kill_display(rig: Rig) -> None:
    """Kill the display and start another."""
    rig.display.kill()
    rig.start_display()


FAULTS = {
    "the microscope loses frames": disturb(skip_frames=True),
    "the network loses messages": disturb(skip_messages=True),
    "the stage jumps": disturb(shift_px=(60, 45)),
    "the shutter is closed": disturb(is_shutter_closed=True),
    "another field is imaged": disturb(is_wrong_field=True),
    "the stimulus program is dead": disturb(is_stimulus_dead=True),
    "the eye camera is dead": disturb(is_camera_dead=True),
    "the stimulus computer's clock is set": disturb(stimulus_clock_s=5.0),
    "the microscope computer's clock is set": disturb(microscope_clock_s=-4.0),
    "senders send garbage": Fault(Rig.send_garbage),
    "the disk is full": Fault(lambda rig: rig.fill_disk(True), restore_disk),
    "the inverter is killed": Fault(lambda rig: rig.kill_worker("inverter")),
    "the closed loop is killed": Fault(lambda rig: rig.kill_worker("closed-loop")),
    "the display is killed": Fault(kill_display),
    "the daemon is restarted": Fault(Rig.restart_daemon),
    "the daemon is killed": Fault(Rig.kill_daemon),
}


def run_rigs(minutes: float, n_rigs: int) -> dict[str, Any]:
    """Run rigs side by side that share the minutes; return their figures together."""
    with ProcessPoolExecutor(n_rigs, mp_context=get_context("spawn")) as pool:
        rigs = list(pool.map(run_rig, [minutes / n_rigs] * n_rigs))
    figures = {name: join_figures([rig[name] for rig in rigs]) for name in rigs[0]}
    return figures | {"rigs": n_rigs, "machine": describe_machine()}


def join_figures(values: list[Any]) -> Any:
    """Return the figures of several rigs as one: all checks, joined lists, sums."""
    first = values[0]
    if isinstance(first, dict):
        return {name: join_figures([each[name] for each in values]) for name in first}
    if isinstance(first, bool):
        return all(values)
    return sum(values[1:], start=first)


def run_rig(minutes: float) -> dict[str, Any]:
    """Run a rig for this time; return figures, checks and what happened."""
    with tempfile.TemporaryDirectory() as folder:
        return suffer_faults(minutes, Path(folder)) | {"minutes": minutes}


def suffer_faults(minutes: float, folder: Path) -> dict[str, Any]:
    """Let one fault follow the other; return figures, checks and what happened."""
    rig = Rig(folder)
    try:
        end_s = time.monotonic() + 60 * minutes
        rig.run_until(time.monotonic() + _START_S)
        history = []
        for name in cycle(FAULTS):
            if time.monotonic() + _FAULT_S + _MAX_RECOVERY_S > end_s:
                break
            history.append(suffer_fault(rig, name))
            show(history[-1])
        rig.end_session()
    finally:
        rig.close()
    return summarize_run(rig, history)


def suffer_fault(rig: Rig, name: str) -> dict[str, Any]:
    """Let a fault happen and end; wait until the daemon processes frames again."""
    events, conditions = rig.events.copy(), rig.conditions.copy()
    fault, is_answered = FAULTS[name], True
    try:
        fault.begin(rig)
        rig.run_until(time.monotonic() + _FAULT_S)
        fault.end(rig)
    except RpcError:
        is_answered = False
    ended_s = time.monotonic()
    rig.run_until(ended_s + _MIN_CALM_S)
    while not is_running(rig) and time.monotonic() < ended_s + _MAX_RECOVERY_S:
        rig.run_until(time.monotonic() + 1.0)
    return {
        "fault": name,
        "events": dict(rig.events - events),
        "conditions": sorted(rig.conditions - conditions),
        "recovered": is_running(rig) and is_answered,
        "recovery_s": round(time.monotonic() - ended_s, 1),
    }


def is_running(rig: Rig) -> bool:
    """Return whether the daemon processes frames at the microscope's rate."""
    health = rig.lives[-1].health
    if health is None or health.state != "running":
        return False
    return health.rate_hz > 0.9 * RATE_HZ


def summarize_run(rig: Rig, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the balance of all frames, and the checks."""
    lives = [summarize_life(life) for life in rig.lives]
    recordings = count_recorded(Path(rig.settings.recording.folder))
    reports = {
        each["fault"]: bool(each["events"] or each["conditions"]) for each in history
    }
    silent = [name for name, is_reported in reports.items() if not is_reported]
    with_traceback = [
        path.name
        for path in rig.logs
        if "Traceback" in path.read_text(encoding="utf-8", errors="replace")
    ]
    n_taken = sum(life.n_taken for life in rig.lives)
    n_not_sent = sum(
        life.n_dropped + life.n_lost_at_source + life.n_lost_in_network
        for life in rig.lives
    )
    checks = {
        "the microscope's frames are all accounted for": (
            rig.n_frames == n_taken + n_not_sent
        ),
        "every daemon accounts for the frames it was sent": all(
            life["is_balanced"] for life in lives
        ),
        "the rig recovers from every fault": all(each["recovered"] for each in history),
        "every fault is reported": set(silent) <= set(_UNREPORTED),
        "every recording is readable": recordings["unreadable"] == 0,
        "no log has a traceback": not with_traceback,
    }
    return {
        "checks": checks,
        "frames": {"microscope": rig.n_frames, "sent": n_taken, "not_sent": n_not_sent},
        "daemons": lives,
        "recordings": recordings,
        "silent_faults": silent,
        "logs_with_traceback": with_traceback,
        "history": history,
    }


def summarize_life(life: DaemonLife) -> dict[str, Any]:
    """Return where the frames of one run of the daemon are.

    Balanced: those that it received are processed, queued or lost for a reason; those
    that it did not receive were in flight when it ended; and it has counted the frames
    that were lost before it.
    """
    if life.health is None:
        return {"sent": life.n_taken, "is_balanced": life.n_taken == 0}
    balance, health = balance_frames(life.health), life.health
    n_in_flight = life.n_taken - health.frames_received
    n_before = life.n_lost_at_source + life.n_dropped - health.gaps.source
    return {
        "sent": life.n_taken,
        "processed": balance.n_processed,
        "queued": balance.n_queued,
        "losses": balance.losses,
        "rejected": health.rejected_frames,
        "unexplained": balance.n_unexplained,
        "in_flight": n_in_flight,
        "lost_before_it": life.n_lost_at_source + life.n_dropped,
        "lost_before_it_uncounted": n_before,
        "lost_in_network": life.n_lost_in_network,
        "lost_in_network_counted": health.gaps.network,
        "is_killed": life.is_killed,
        "is_balanced": (
            balance.n_unexplained == 0
            and 0 <= n_in_flight <= _MAX_IN_FLIGHT
            and health.gaps.source >= life.n_lost_at_source
            and health.gaps.network >= life.n_lost_in_network
        ),
    }


def count_recorded(folder: Path) -> dict[str, int]:
    """Return how many recordings there are, and the frames in them."""
    counts = {"n": 0, "unreadable": 0, "frames": 0}
    for path in list_sessions(folder):
        counts["n"] += 1
        try:
            counts["frames"] += len(Session(path).frames["frame"])
        except Exception as error:  # whatever it is, it is counted and shown
            counts["unreadable"] += 1
            show(f"{path.name}: {error}")
    return counts


def main() -> int:
    """Run the benchmark, print and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--rigs", type=int, default=1, help="that share the minutes")
    parser.add_argument("--quick", action="store_true", help="10 minutes")
    arguments = parser.parse_args()
    minutes = QUICK_MINUTES if arguments.quick else arguments.minutes
    figures = run_rigs(minutes, arguments.rigs)
    show(figures["checks"])
    path = write_results("hostile", figures, quick=minutes < FULL_MINUTES)
    show(f"written to {path}")
    return 0 if all(figures["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
