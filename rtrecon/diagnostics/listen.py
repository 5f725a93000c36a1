"""Does the bridge work? Listens where the daemon would, and says in words what comes.

Nothing is processed, recorded or published: this is for the minutes at the rig in which
a sender is set up, and the daemon is not running yet.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import zmq

from rtrecon.config import WireSettings
from rtrecon.daemon.ingest import Ingest, Kind, Throttle
from rtrecon.daemon.sockets import open_tcp
from rtrecon.protocol import messages
from rtrecon.transport import sockets
from rtrecon.transport.gatekeeper import Gatekeeper
from rtrecon.transport.keys import keys_of_daemon
from rtrecon.transport.sockets import Context, Socket
from rtrecon.transport.tcp_door import TcpDoor

_EVERY_S = 1.0
_TICK_MS = 50


def listen(settings: WireSettings, seconds: float | None) -> Iterator[str]:
    """Yield a sentence about each thing that comes, and once a second how it goes.

    Until `seconds` are over, or for ever. Raises `AddressError` where the daemon, or
    somebody else, listens already.
    """
    with _opened(settings) as ears:
        yield ears.where
        deadline_s = time.monotonic() + (seconds or np.inf)
        told_s = time.monotonic()
        while (now_s := time.monotonic()) < deadline_s:
            yield from ears.hear()
            if now_s - told_s >= _EVERY_S:
                yield from ears.summary(now_s - told_s)
                told_s = now_s


class Ear:
    """What comes by one transport: its session, and all since the last summary."""

    def __init__(self, transport: str, socket: Socket) -> None:
        self._transport = transport
        self._socket = socket
        self._ingest = Ingest()
        self._throttle = Throttle()
        self._counts: Counter[str] = Counter()
        self._latencies_ms: list[float] = []

    def hear(self) -> Iterator[str]:
        """Take in all that waits; yield what is to be told at once."""
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
            for sentence in self._take(parts, time.time()):
                if told := self._throttle.offer(sentence, time.monotonic()):
                    yield f"{self._transport}: {told}"

    def summary(self, span_s: float) -> str | None:
        """Say what came since the last time; None if nobody has begun a session."""
        counts, self._counts = self._counts, Counter()
        latencies_ms, self._latencies_ms = self._latencies_ms, []
        if self._ingest.session is None:
            return None
        others = [
            f"{counts[kind]} {kind}" for kind in sorted(counts) if kind != "frame"
        ]
        rate_hz = counts["frame"] / span_s
        said = [f"{rate_hz:.1f} frames per second", *others, self._losses()]
        if latencies_ms:
            median_ms, worst_ms = np.median(latencies_ms), max(latencies_ms)
            said.append(f"{median_ms:.1f} ms from sending, at worst {worst_ms:.1f}")
        return f"{self._transport}: {', '.join(said)}"

    def _take(self, parts: list[bytes], t_received: float) -> Iterator[str]:
        try:
            message, _ = messages.decode(parts)
        except messages.WireError as error:
            yield f"refused: {self._ingest.reject(str(error)).sentence}"
            return
        verdict = self._ingest.accept(message)
        self._counts[str(type(message).__struct_config__.tag)] += 1
        if isinstance(message, messages.Frame):
            self._latencies_ms.append(1e3 * (t_received - message.t_send))
        if isinstance(message, messages.Start) and verdict.kind is Kind.SESSION:
            yield _beginning(message)
        elif isinstance(message, messages.End):
            yield f"the sender ended: {message.reason}"
        if verdict.kind is Kind.REFUSED:
            yield f"refused: {verdict.sentence}"

    def _losses(self) -> str:
        counts = self._ingest.counts
        lost = {
            "on the wire": counts.lost_wire,
            "before the sender": counts.lost_source,
            "dropped by the sender": counts.dropped,
            "refused": counts.rejected,
        }
        told = [f"{count} {where}" for where, count in lost.items() if count]
        repeats = f", {counts.repeats} came twice" if counts.repeats else ""
        losses = f"lost: {', '.join(told)}" if told else "none lost"
        return f"{counts.received} in all, {losses}{repeats}"


@dataclass(frozen=True)
class Ears:
    """Both transports, who is turned away from them, and in words where they listen."""

    where: str
    ears: tuple[Ear, ...]
    tcp: TcpDoor | None
    gatekeeper: Gatekeeper | None
    poller: zmq.Poller

    def hear(self) -> Iterator[str]:
        """Wait a moment; yield what is to be told of what has come."""
        self.poller.poll(_TICK_MS)
        if self.gatekeeper:
            self.gatekeeper.answer_waiting()
            yield from self.gatekeeper.sentences()
        if self.tcp:
            yield from self.tcp.sentences()
        for ear in self.ears:
            yield from ear.hear()

    def summary(self, span_s: float) -> list[str]:
        """Return a sentence for each transport by which there is a session."""
        told = [ear.summary(span_s) for ear in self.ears]
        heard = [sentence for sentence in told if sentence]
        return heard or ["nothing yet: is the sender on, and is this its address?"]


@contextmanager
def _opened(wire: WireSettings) -> Iterator[Ears]:
    keys = keys_of_daemon(wire)
    with ExitStack() as opened:
        context: Context = zmq.Context()
        opened.callback(context.term)
        gatekeeper = Gatekeeper(context, keys) if keys else None
        if gatekeeper:
            opened.callback(gatekeeper.close)
        frames = opened.enter_context(
            sockets.bind(context, zmq.PULL, wire.frames, keys)
        )
        framed: Socket = opened.enter_context(context.socket(zmq.PULL))
        framed.setsockopt(zmq.RCVHWM, sockets.RECEIVE_HWM)
        tcp = open_tcp(context, wire, framed)
        if tcp:
            opened.callback(tcp.close)
        poller = zmq.Poller()
        for socket in (frames, framed, *([gatekeeper.socket] if gatekeeper else [])):
            poller.register(socket, zmq.POLLIN)
        ears = Ear("ZeroMQ", frames), Ear("framed TCP", framed)
        locked = "with keys" if keys else "without keys"
        where = f"listening at {wire.frames} and, framed TCP, {wire.tcp}; {locked}"
        yield Ears(where, ears, tcp, gatekeeper, poller)


def _beginning(start: messages.Start) -> str:
    lines, pixels = start.shape
    return (
        f"session {start.session} from {start.source}: {lines} x {pixels} "
        f"{start.dtype} at {start.rate_hz:g} Hz, channels {start.channels}, "
        f"{len(start.planes)} planes"
    )
