"""The health line: from health messages to a few labelled figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rtrecon.protocol.messages import Health

NOTHING = "–"
_SCARCE_GB = 10.0


class Figure(NamedTuple):
    """One figure of the health line; `alarm` asks for a look, `hint` says more."""

    label: str
    value: str = NOTHING
    alarm: bool = False
    hint: str = ""


def figures(health: Mapping[str, Health]) -> list[Figure]:
    """Return the line's figures, always the same ones in the same order."""
    front, inverter = health.get("front"), health.get("inverter")
    return [
        _rate(front),
        _latency("frame to traces p50 / p99", front, "frame_to_traces"),
        _latency("activity to movie p50 / p99", inverter, "activity_to_movie"),
        _losses(front),
        _steps(inverter),
        _misses(health),
        _memory(front, inverter),
        _disk(front),
    ]


def states(health: Mapping[str, Health]) -> str:
    """Return what each station is doing, in a few words."""
    return ", ".join(f"{name} {health[name].state}" for name in sorted(health))


def _rate(front: Health | None) -> Figure:
    if front is None:
        return Figure("frames per second")
    hint = (
        f"{front.frames_processed} of {front.frames_received} frames processed, "
        f"{front.realtime_factor:.2f} x real time"
    )
    return Figure("frames per second", f"{front.rate_hz:.1f}", False, hint)


def _latency(label: str, station: Health | None, name: str) -> Figure:
    measured = station.latency_ms.get(name) if station else None
    if station is None or measured is None or not measured.n:
        return Figure(label)
    value = f"{_short(measured.p50)} / {_short(measured.p99)} ms"
    hint = "\n".join(
        f"{name}: p50 {p.p50:.2f}, p95 {p.p95:.2f}, p99 {p.p99:.2f}, max {p.max:.2f} ms"
        for name, p in station.latency_ms.items()
    )
    return Figure(label, value, False, hint)


def _losses(front: Health | None) -> Figure:
    label = "frames lost: wire / source"
    if front is None:
        return Figure(label)
    gaps = front.gaps
    parts = {"repeats ignored": gaps.repeats, "rejected": front.rejected, **front.lost}
    hint = "\n".join(f"{name}: {count}" for name, count in parts.items())
    alarm = gaps.wire + gaps.source > 0
    return Figure(label, f"{gaps.wire} / {gaps.source}", alarm, hint)


def _steps(inverter: Health | None) -> Figure:
    if inverter is None:
        return Figure("steps per hop")
    waiting, lost = inverter.queue_depth, inverter.lost
    hint = "\n".join(
        [f"{name} waiting: {count}" for name, count in waiting.items()]
        + [f"{name} lost: {count}" for name, count in lost.items()]
    )
    return Figure("steps per hop", f"{inverter.steps_per_hop:.1f}", False, hint)


def _misses(health: Mapping[str, Health]) -> Figure:
    if not health:
        return Figure("deadlines missed")
    missed = sum(station.deadline_misses for station in health.values())
    hint = "\n".join(f"{name}: {h.deadline_misses}" for name, h in health.items())
    return Figure("deadlines missed", str(missed), missed > 0, hint)


def _memory(front: Health | None, inverter: Health | None) -> Figure:
    label = "memory: front / inverter"
    if front is None and inverter is None:
        return Figure(label)
    used = [NOTHING if h is None else f"{h.memory_mb:.0f}" for h in (front, inverter)]
    return Figure(label, f"{' / '.join(used)} MB")


def _disk(front: Health | None) -> Figure:
    label = "disk left"
    free_gb = front.disk_free_gb if front is not None else None
    if front is None or free_gb is None:
        return Figure(label)
    unwritten = front.lost.get("record", 0)
    hint = f"rows that could not be recorded: {unwritten}"
    alarm = free_gb < _SCARCE_GB or unwritten > 0
    return Figure(label, f"{free_gb:.0f} GB", alarm, hint)


def _short(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"
