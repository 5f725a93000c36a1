"""Bridge from Open Ephys to the daemon: each time bin of spike counts is a frame."""

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
from rtrecon.interfaces.open_ephys.message_parser import (
    OpenEphysFormatError,
    SampleBlock,
    SpikeEvent,
    TtlEdge,
    parse_message,
)
from rtrecon.interfaces.open_ephys.spike_bins import SpikeBinner
from rtrecon.interfaces.open_ephys.units_file import read_units, write_units
from rtrecon.transport import sockets
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.senders import SessionSender

_POLL_MS = 100
_HEARTBEAT_INTERVAL_S = 2.0  # Open Ephys lists a client while it receives these
_SILENCE_NOTICE_S = 5.0
_MAX_SAMPLE_GAP_S = 10.0  # a larger jump of samples is a new acquisition
_CLIENT_ID = str(uuid.uuid4())

Notify = Callable[[str], None]


@dataclass(frozen=True)
class OpenEphysRequest:
    """What to read from Open Ephys and where to send it.

    units_file: the units, one per line, in the order of the encoder's neurons. If it
    does not exist, or is None, the units seen in the first `discovery_s` are used, and
    written to it. stream: the first one seen, if None.
    """

    address: str
    daemon_address: str
    rate_hz: float = 30.0
    stream: str | None = None
    units_file: Path | None = None
    discovery_s: float = 10.0
    keys: ClientKeys | None = None


class OpenEphysBridge:
    """Receives one stream; each acquisition becomes a session of its own."""

    def __init__(self, request: OpenEphysRequest, notify: Notify) -> None:
        self._request, self._notify = request, notify
        self._units = read_units(request.units_file)
        self._discovered_units: set[str] = set()  # until `_units` is known
        self._stream = request.stream
        self._message_number: int | None = None
        self._n_missing = 0  # messages lost since the last one with content
        self._n_unreadable = 0
        self._sample = self._first_sample = 0
        self._sample_hz: float | None = None
        self._binner: SpikeBinner | None = None
        self._sender: SessionSender | None = None
        self._received_s = self._heartbeat_s = float("-inf")
        self._context: sockets.Context = zmq.Context()
        self._data = sockets.connect_socket(self._context, zmq.SUB, request.address)
        self._heartbeat = _connect_heartbeat(self._context, request.address)

    def run(self) -> None:
        """Forward bins until interrupted."""
        self._notify(f"listening to Open Ephys at {self._request.address}")
        while True:
            self._send_heartbeat()
            if self._data.poll(_POLL_MS):
                self._process_message(self._data.recv_multipart())
                self._received_s = time.monotonic()
            elif time.monotonic() - self._received_s > _SILENCE_NOTICE_S:
                self._received_s = float("inf")
                self._notify(f"Open Ephys sent nothing for {_SILENCE_NOTICE_S:g} s")

    def close(self) -> None:
        """End the session and close the sockets."""
        self._end_session("bridge closed")
        if self._n_unreadable:
            self._notify(f"{self._n_unreadable} messages could not be read")
        self._data.close(linger=0)
        self._heartbeat.close(linger=0)
        self._context.term()

    def _send_heartbeat(self) -> None:
        while self._heartbeat.poll(0):
            self._heartbeat.recv()
        if time.monotonic() - self._heartbeat_s >= _HEARTBEAT_INTERVAL_S:
            self._heartbeat_s = time.monotonic()
            client = {
                "application": "rtrecon",
                "uuid": _CLIENT_ID,
                "type": "heartbeat",
            }
            with suppress(zmq.Again):  # Open Ephys is not running
                self._heartbeat.send(json.dumps(client).encode(), zmq.DONTWAIT)

    def _process_message(self, parts: list[bytes]) -> None:
        try:
            message = parse_message(parts)
        except OpenEphysFormatError as error:
            self._count_unreadable(error)
            return
        if self._message_number is not None:
            self._n_missing += max(0, message.number - self._message_number - 1)
        self._message_number = message.number
        self._stream = self._stream or message.stream or None
        if message.content is not None and message.stream == self._stream:
            self._process_content(message.content)

    def _count_unreadable(self, error: OpenEphysFormatError) -> None:
        """Report the first message that cannot be read; it may be followed by many."""
        self._n_unreadable += 1
        if self._n_unreadable == 1:
            self._notify(
                f"a message cannot be read: {error}. Is it the plugin ZMQ Interface of "
                "Open Ephys GUI 0.6 or later? Version 0.5 and the Event Broadcaster "
                "send other messages. Further ones are counted"
            )

    def _process_content(self, content: SpikeEvent | TtlEdge | SampleBlock) -> None:
        if self._n_missing and self._binner:
            self._notify(f"{self._n_missing} messages of Open Ephys were lost")
            self._binner.mark_missing(self._sample, content.sample)
        self._n_missing = 0
        if isinstance(content, SampleBlock):
            self._process_block(content)
        elif isinstance(content, SpikeEvent):
            self._process_spike(content)
        else:
            self._process_edge(content)

    def _process_spike(self, spike: SpikeEvent) -> None:
        if self._binner:
            self._binner.add_spike(spike.unit, spike.sample)
        else:
            self._discovered_units.add(spike.unit)

    def _process_edge(self, edge: TtlEdge) -> None:
        if self._sender and self._sample_hz:
            t_s = edge.sample / self._sample_hz
            self._sender.send_sync_edge(t_s, edge.line, edge.value)

    def _process_block(self, block: SampleBlock) -> None:
        gap_s = (block.sample - self._sample) / block.rate_hz
        is_continued = -1 / block.rate_hz <= gap_s <= _MAX_SAMPLE_GAP_S
        if self._sample_hz is None or not is_continued:
            self._end_session("acquisition over")
            self._sample_hz, self._first_sample = block.rate_hz, block.sample
        self._sample = max(block.sample, self._first_sample)
        if self._binner is None:
            self._begin_session_if_ready(self._sample_hz)
        if self._binner and self._sender:
            for spike_bin in self._binner.close_bins(self._sample):
                self._sender.send_frame(
                    spike_bin.counts[None], spike_bin.number, spike_bin.t_s
                )

    def _begin_session_if_ready(self, sample_hz: float) -> None:
        discovered_s = (self._sample - self._first_sample) / sample_hz
        is_over = discovered_s >= self._request.discovery_s
        if self._units is None and is_over and self._discovered_units:
            self._units = sorted(self._discovered_units)
            write_units(self._request.units_file, self._units)
        if self._units is None:
            return
        rate_hz, n_units = self._request.rate_hz, len(self._units)
        self._binner = SpikeBinner(self._units, rate_hz, sample_hz, self._sample)
        self._sender = SessionSender(
            self._request.daemon_address,
            self._request.keys,
            source=f"Open Ephys, stream {self._stream}",
            rate_hz=rate_hz,
            unit_ids=range(n_units),
            meta={"units": self._units},
        )
        if not self._sender.wait_for_daemon():
            raise UserError(self._sender.explain_missing_daemon())
        self._notify(f"a session of {n_units} units begins")

    def _end_session(self, reason: str) -> None:
        if self._sender and self._binner:
            self._sender.send_end(reason)
            self._sender.close()
            self._notify(
                f"{reason}: {self._sender.n_sent} bins sent, {self._sender.n_dropped} "
                f"dropped; spikes: {self._binner.n_late} arrived too late, "
                f"{self._binner.n_unknown_units} of other units"
            )
        self._binner = self._sender = None
        self._sample = 0


def _connect_heartbeat(context: sockets.Context, data_address: str) -> sockets.Socket:
    """Return the socket for heartbeats, on the port after that of the data."""
    parts = urlsplit(data_address)
    address = f"tcp://{parts.hostname}:{(parts.port or 0) + 1}"
    socket = sockets.connect_socket(context, zmq.REQ, address)
    socket.setsockopt(zmq.REQ_RELAXED, 1)  # do not wait for a lost reply
    return socket


def run_bridge(request: OpenEphysRequest, notify: Notify) -> None:
    """Forward spikes of Open Ephys until interrupted; raises UserError."""
    bridge = OpenEphysBridge(request, notify)
    try:
        bridge.run()
    finally:
        bridge.close()
