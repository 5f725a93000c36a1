"""From Open Ephys to the daemon: a session of units, a message for every bin."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from rtrecon.core.errors import UserError
from rtrecon.interfaces.open_ephys.messages import (
    Edge,
    NotOpenEphys,
    Passed,
    Spike,
    read,
)
from rtrecon.interfaces.open_ephys.spike_bins import Bins
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.sender import Sender

_POLL_MS = 100
_HEARTBEAT_S = 2.0  # Open Ephys lists us as long as it hears one
_SILENCE_S = 5.0
_MOST_HOLE_S = 10.0  # samples that jump by more are another acquisition

Log = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Where spikes come from and where they go.

    units: a file with a line for each unit, in the order of the encoder's neurons; made
    of those that are heard within `learn_s` where it is not there yet, or none.
    """

    address: str
    to: str
    rate_hz: float = 30.0
    stream: str | None = None
    units: Path | None = None
    learn_s: float = 10.0
    keys: ClientKeys | None = None


class Bridge:
    """Listens to one stream; every acquisition becomes a session of its own.

    Remembers which units there are, the bins that are open, and the newest sample.
    """

    def __init__(self, plan: Plan, log: Log) -> None:
        self._plan, self._log = plan, log
        self._units = read_units(plan.units)
        self._heard: set[str] = set()  # units, until it is known which there are
        self._stream = plan.stream
        self._number: int | None = None
        self._missing = 0  # messages since the last one that counted
        self._sample = self._first_sample = 0
        self._sample_hz: float | None = None
        self._bins: Bins | None = None
        self._sender: Sender | None = None
        self._spoke_s = self._beat_s = float("-inf")
        self._context: sockets.Context = zmq.Context()
        self._ear = sockets.connect(self._context, zmq.SUB, plan.address)
        self._heart = _heart(self._context, plan.address)

    def run(self) -> None:
        """Pass on what is heard, until interrupted."""
        self._log(f"listening to Open Ephys at {self._plan.address}")
        while True:
            self._beat()
            if self._ear.poll(_POLL_MS):
                self._take(self._ear.recv_multipart())
                self._spoke_s = time.monotonic()
            elif time.monotonic() - self._spoke_s > _SILENCE_S:
                self._spoke_s = float("inf")
                self._log(f"Open Ephys says nothing since {_SILENCE_S:g} s")

    def close(self) -> None:
        """End the session and close the sockets."""
        self._end("bridge closed")
        self._ear.close(linger=0)
        self._heart.close(linger=0)
        self._context.term()

    def _beat(self) -> None:
        while self._heart.poll(0):
            self._heart.recv()
        if time.monotonic() - self._beat_s >= _HEARTBEAT_S:
            self._beat_s = time.monotonic()
            name = {"application": "rtrecon", "uuid": _OURS, "type": "heartbeat"}
            with suppress(zmq.Again):  # nobody is there to hear it
                self._heart.send(json.dumps(name).encode(), zmq.DONTWAIT)

    def _take(self, parts: list[bytes]) -> None:
        try:
            heard = read(parts)
        except NotOpenEphys as error:
            self._log(f"refused: {error}")
            return
        if self._number is not None:
            self._missing += max(0, heard.number - self._number - 1)
        self._number = heard.number
        self._stream = self._stream or heard.stream or None
        if heard.said is not None and heard.stream == self._stream:
            self._take_said(heard.said)

    def _take_said(self, said: Spike | Edge | Passed) -> None:
        if self._missing and self._bins:
            self._log(f"{self._missing} messages of Open Ephys were lost")
            self._bins.lose(self._sample, said.sample)
        self._missing = 0
        if isinstance(said, Passed):
            self._pass(said)
        elif isinstance(said, Spike):
            self._spike(said)
        else:
            self._edge(said)

    def _spike(self, spike: Spike) -> None:
        if self._bins:
            self._bins.spike(spike.unit, spike.sample)
        else:
            self._heard.add(spike.unit)

    def _edge(self, edge: Edge) -> None:
        if self._sender and self._sample_hz:
            self._sender.sync(edge.sample / self._sample_hz, edge.line, edge.value)

    def _pass(self, passed: Passed) -> None:
        hole_s = (passed.sample - self._sample) / passed.rate_hz
        if self._sample_hz is None or not -1 / passed.rate_hz <= hole_s <= _MOST_HOLE_S:
            self._end("acquisition over")
            self._sample_hz, self._first_sample = passed.rate_hz, passed.sample
        self._sample = max(passed.sample, self._first_sample)
        if self._bins is None:
            self._begin_if_ready()
        if self._bins and self._sender:
            for done in self._bins.close(self._sample):
                self._sender.frame(done.counts[None], done.number, done.t_s)

    def _begin_if_ready(self) -> None:
        assert self._sample_hz is not None
        learned_s = (self._sample - self._first_sample) / self._sample_hz
        if self._units is None and learned_s >= self._plan.learn_s and self._heard:
            self._units = sorted(self._heard)
            write_units(self._plan.units, self._units)
        if self._units is None:
            return
        rate_hz, n = self._plan.rate_hz, len(self._units)
        self._bins = Bins(self._units, rate_hz, self._sample_hz, self._sample)
        self._sender = Sender(
            self._plan.to,
            self._plan.keys,
            source=f"Open Ephys, stream {self._stream}",
            rate_hz=rate_hz,
            shape=(1, n),
            dtype="float32",
            units=list(range(n)),
            meta={"units": self._units},
        )
        if not self._sender.wait_for_daemon():
            raise UserError(self._sender.absence())
        self._log(f"a session of {n} units begins")

    def _end(self, reason: str) -> None:
        if self._sender and self._bins:
            self._sender.end(reason)
            self._sender.close()
            self._log(
                f"{reason}: {self._sender.sent} bins sent, {self._sender.dropped} "
                f"dropped; spikes: {self._bins.late} came too late, "
                f"{self._bins.strangers} of other units"
            )
        self._bins = self._sender = None
        self._sample = 0


_OURS = str(uuid.uuid4())


def read_units(path: Path | None) -> list[str] | None:
    """Return the units that a file names, a line each; None where there is no file."""
    if path is None or not path.exists():
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"units in {path} cannot be read: {error}") from None
    units = [line.strip() for line in lines if line.strip()]
    if not units or len(set(units)) < len(units):
        raise UserError(
            f"{path} names {len(units)} units, {len(set(units))} of them different; "
            "write a line for each, like 'Electrode 1/2': the name and the sorted id"
        )
    return units


def write_units(path: Path | None, units: list[str]) -> None:
    """Write a file that `read_units` reads; nothing without a path."""
    if path is not None:
        path.write_text("\n".join(units) + "\n", encoding="utf-8")


def _heart(context: sockets.Context, address: str) -> sockets.Socket:
    """Return the socket for heartbeats, on the port behind the one for data."""
    parts = urlsplit(address)
    port = (parts.port or 0) + 1
    heart = sockets.connect(context, zmq.REQ, f"tcp://{parts.hostname}:{port}")
    heart.setsockopt(zmq.REQ_RELAXED, 1)  # one that is not answered is given up
    return heart


def run(plan: Plan, log: Log) -> None:
    """Pass on what Open Ephys says until interrupted; UserError with a sentence."""
    bridge = Bridge(plan, log)
    try:
        bridge.run()
    finally:
        bridge.close()
