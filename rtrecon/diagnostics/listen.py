"""Reports what senders send, in place of the daemon, while a rig is set up.

Nothing is processed, recorded or published.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from rtrecon.config import NetworkSettings
from rtrecon.core.frame_intervals import describe_rate, is_time_lapse
from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.ingest.result import IngestAction
from rtrecon.daemon.rate_limits import Throttle
from rtrecon.diagnostics.frame_sockets import FrameSockets, open_frame_sockets
from rtrecon.imaging.timing.arrival_clock import ArrivalClocks, TimedMessage
from rtrecon.protocol import messages
from rtrecon.protocol.fields import UM_PER_PX
from rtrecon.transport.sockets import Socket

_SUMMARY_INTERVAL_S = 1.0


def report_incoming(settings: NetworkSettings, seconds: float | None) -> Iterator[str]:
    """Yield a notice per event, and a summary of each transport once a second.

    Ends after `seconds`; never with None. Raises `AddressError` if the daemon or
    another program uses the addresses.
    """
    with _open_monitor(settings) as monitor:
        yield monitor.sockets.address_notice
        deadline_s = time.monotonic() + (seconds or np.inf)
        last_summary_s = time.monotonic()
        while (now_s := time.monotonic()) < deadline_s:
            yield from monitor.poll()
            if now_s - last_summary_s >= _SUMMARY_INTERVAL_S:
                yield from monitor.summarize(now_s - last_summary_s)
                last_summary_s = now_s


class TransportMonitor:
    """Counts the messages of one transport since the last summary.

    clocks: those of all senders, also of the other transport.
    """

    def __init__(self, transport: str, socket: Socket, clocks: ArrivalClocks) -> None:
        self._clocks = clocks
        self._transport = transport
        self._socket = socket
        self._ingest = Ingest()
        self._throttle = Throttle()
        self._counts: Counter[str] = Counter()  # messages by type
        self._latencies_ms: list[float] = []

    def report_messages(self) -> Iterator[str]:
        """Receive what has arrived; yield notices."""
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
            for notice in self._process_message(parts, time.time()):
                if limited := self._throttle.limit_notice(notice, time.monotonic()):
                    yield f"{self._transport}: {limited}"

    def summarize(self, span_s: float) -> str | None:
        """Summarize the last `span_s`; None before a session has started.

        Returns "" where there is nothing to say: nothing arrived of a time-lapse.
        """
        counts, self._counts = self._counts, Counter()
        latencies_ms, self._latencies_ms = self._latencies_ms, []
        if self._ingest.session_start is None:
            return None
        others = [
            f"{counts[name]} {name}" for name in sorted(counts) if name != "frame"
        ]
        if is_time_lapse(self._ingest.session_start.rate_hz):
            if not counts:
                return ""
            frames = f"{counts['frame']} frames"
        else:
            frames = f"{counts['frame'] / span_s:.1f} frames per second"
        figures = [frames, *others, self._format_losses()]
        if latencies_ms:
            median_ms, max_ms = np.median(latencies_ms), max(latencies_ms)
            figures.append(f"{median_ms:.1f} ms after sending, at most {max_ms:.1f}")
        return f"{self._transport}: {', '.join(figures)}"

    def _process_message(self, parts: list[bytes], t_received: float) -> Iterator[str]:
        try:
            message, _ = messages.decode_incoming(parts)
        except messages.WireError as error:
            yield f"refused: {self._ingest.count_undecodable(str(error)).reason}"
            return
        result = self._ingest.accept_message(message)
        self._counts[messages.message_type(message)] += 1
        if isinstance(message, messages.Frame):
            self._latencies_ms.append(1e3 * (t_received - message.t_send))
            self._clocks.add_frame(message, time.monotonic())
        elif isinstance(message, TimedMessage):
            self._clocks.add_message(message, time.monotonic())
        is_new_session = result.action is IngestAction.SESSION
        if isinstance(message, messages.SessionStart) and is_new_session:
            yield _format_start(message)
        elif isinstance(message, messages.SessionEnd):
            yield f"the sender ended: {message.reason}"
        if result.action is IngestAction.REFUSED:
            yield f"refused: {result.reason}"

    def _format_losses(self) -> str:
        counts = self._ingest.counts
        losses = {
            "on the network": counts.lost_in_network,
            "before the sender": counts.lost_at_source,
            "dropped by the sender": counts.frames_dropped,
            "refused": counts.rejected_messages,
        }
        lost = [f"{count} {place}" for place, count in losses.items() if count]
        text = f"lost: {', '.join(lost)}" if lost else "none lost"
        if counts.frames_repeated:
            text += f", {counts.frames_repeated} repeated"
        return f"{counts.frames_received} in all, {text}"


@dataclass(frozen=True)
class IncomingMonitor:
    """Both transports, their sockets, and clocks."""

    sockets: FrameSockets
    transports: tuple[TransportMonitor, ...]
    clocks: ArrivalClocks

    def poll(self) -> Iterator[str]:
        """Wait a moment; yield notices about what has arrived."""
        yield from self.sockets.wait()
        for transport in self.transports:
            yield from transport.report_messages()

    def summarize(self, span_s: float) -> list[str]:
        """Return a summary for each transport that has a session."""
        summaries = [transport.summarize(span_s) for transport in self.transports]
        if "" in summaries and not any(summaries):
            return []
        known = [summary for summary in summaries if summary]
        if errors := self.clocks.describe_errors():
            text = ", ".join(errors)
            known.append(f"clocks, compared with the microscope's computer: {text}")
        return known or ["nothing yet: is the sender on, and is this its address?"]


@contextmanager
def _open_monitor(settings: NetworkSettings) -> Iterator[IncomingMonitor]:
    with open_frame_sockets(settings) as received:
        clocks = ArrivalClocks()
        transports = (
            TransportMonitor("ZeroMQ", received.zeromq, clocks),
            TransportMonitor("framed TCP", received.framed_tcp, clocks),
        )
        yield IncomingMonitor(received, transports, clocks)


def _format_start(start: messages.SessionStart) -> str:
    lines, pixels = start.shape
    um_per_px = start.meta.get(UM_PER_PX)
    scale = (
        f", {um_per_px:g} um per pixel" if isinstance(um_per_px, int | float) else ""
    )
    return (
        f"session {start.session} from {start.source}: {lines} x {pixels} "
        f"{start.dtype} at {describe_rate(start.rate_hz)}, channels {start.channels}, "
        f"{len(start.planes)} planes{scale}"
    )
