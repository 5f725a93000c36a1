"""The health line: a few labelled figures on how daemon and inverter are doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from rtrecon.display.panels.panel import make_column, make_label
from rtrecon.protocol.messages import Health

NO_VALUE = "–"
_MIN_FREE_DISK_GB = 10.0


class Figure(NamedTuple):
    """One figure; `is_alarm` colours it, `details` is its tool tip."""

    label: str
    value: str = NO_VALUE
    is_alarm: bool = False
    details: str = ""


class HealthLine(QWidget):
    """The figures in a row, each below its label."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(12, 0, 12, 0)
        self._cells: list[tuple[QLabel, QLabel]] = []

    def draw(self, figures: Sequence[Figure]) -> None:
        """Show the figures; their number must not change."""
        if not self._cells:
            self._build(len(figures))
        for figure, (label, value) in zip(figures, self._cells, strict=True):
            label.setText(figure.label)
            value.setText(figure.value)
            value.setToolTip(figure.details)
            if value.property("alarm") != figure.is_alarm:
                value.setProperty("alarm", figure.is_alarm)
                value.style().polish(value)

    def _build(self, count: int) -> None:
        for i in range(count):
            self._cells.append((make_label("", "label"), make_label("", "value")))
            self._layout.addLayout(make_column(*self._cells[-1]))
            if i < count - 1:
                self._layout.addStretch(1)


def make_figures(health: Mapping[str, Health]) -> list[Figure]:
    """Return the figures for the newest health of each process.

    Always returns the same figures in the same order; without health they are empty.
    """
    daemon, inverter = health.get("daemon"), health.get("inverter")
    return [
        _frame_rate(daemon),
        _latency("frame to traces: p50 / p99", daemon, "frame_to_traces"),
        _latency("activity to movie: p50 / p99", inverter, "activity_to_movie"),
        _lost_frames(daemon),
        _optimiser_steps(inverter),
        _missed_deadlines(health),
        _memory(daemon, inverter),
        _free_disk(daemon),
    ]


def describe_states(health: Mapping[str, Health]) -> str:
    """Return the state of each process: "daemon running, inverter waiting"."""
    return ", ".join(f"{name} {health[name].state}" for name in sorted(health))


def _frame_rate(daemon: Health | None) -> Figure:
    label = "frames per second"
    if daemon is None:
        return Figure(label)
    details = (
        f"{daemon.frames_processed} of {daemon.frames_received} frames processed, "
        f"{daemon.realtime_factor:.2f} x real time"
    )
    return Figure(label, f"{daemon.rate_hz:.1f}", False, details)


def _latency(label: str, process: Health | None, name: str) -> Figure:
    measured = process.latency_ms.get(name) if process else None
    if process is None or measured is None or not measured.n:
        return Figure(label)
    value = f"{_format_ms(measured.p50)} / {_format_ms(measured.p99)} ms"
    lines = ["p50: half of all latencies are shorter; p99: 99 % are shorter"]
    lines += [
        f"{name}: p50 {p.p50:.2f}, p95 {p.p95:.2f}, p99 {p.p99:.2f}, max {p.max:.2f} ms"
        for name, p in process.latency_ms.items()
    ]
    return Figure(label, value, False, "\n".join(lines))


def _lost_frames(daemon: Health | None) -> Figure:
    label = "frames lost: network / source"
    if daemon is None:
        return Figure(label)
    gaps = daemon.gaps
    counts = {
        "lost on the network": gaps.network,
        "missing in the microscope's own count": gaps.source,
        "repeated frames, ignored": gaps.repeated,
        "invalid messages, rejected": daemon.rejected_messages,
        **daemon.lost,
    }
    details = "\n".join(f"{name}: {count}" for name, count in counts.items())
    is_alarm = gaps.network + gaps.source > 0
    return Figure(label, f"{gaps.network} / {gaps.source}", is_alarm, details)


def _optimiser_steps(inverter: Health | None) -> Figure:
    label = "steps per update"
    if inverter is None:
        return Figure(label)
    lines = ["optimiser steps per movie update; more steps, better movie"]
    lines += [f"{name} queued: {n}" for name, n in inverter.queue_depth.items()]
    lines += [f"{name} lost: {n}" for name, n in inverter.lost.items()]
    return Figure(label, f"{inverter.steps_per_hop:.1f}", False, "\n".join(lines))


def _missed_deadlines(health: Mapping[str, Health]) -> Figure:
    label = "deadlines missed"
    if not health:
        return Figure(label)
    total = sum(process.deadline_misses for process in health.values())
    details = "\n".join(f"{name}: {h.deadline_misses}" for name, h in health.items())
    return Figure(label, str(total), total > 0, details)


def _memory(daemon: Health | None, inverter: Health | None) -> Figure:
    label = "memory: daemon / inverter"
    if daemon is None and inverter is None:
        return Figure(label)
    used = [
        NO_VALUE if process is None else f"{process.memory_mb:.0f}"
        for process in (daemon, inverter)
    ]
    return Figure(label, f"{' / '.join(used)} MB")


def _free_disk(daemon: Health | None) -> Figure:
    label = "free disk"
    free_gb = daemon.disk_free_gb if daemon is not None else None
    if daemon is None or free_gb is None:
        return Figure(label)
    n_unwritten = daemon.lost.get("record", 0)
    details = f"rows that could not be recorded: {n_unwritten}"
    is_alarm = free_gb < _MIN_FREE_DISK_GB or n_unwritten > 0
    return Figure(label, f"{free_gb:.0f} GB", is_alarm, details)


def _format_ms(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"
