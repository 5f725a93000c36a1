"""A program that publishes as Open Ephys' ZMQ Interface does, without rtrecon.

It publishes after the first heartbeat: blocks of samples, the spikes of each block, and
from time to time an edge of a line, until it is ended. `generate_spikes` returns the
spikes of a block, for tests.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator

import numpy as np
import zmq

SAMPLE_HZ, BLOCK, STREAM = 30_000, 1000, "probe"
UNITS = [("Electrode 1", 1), ("Electrode 1", 2), ("Electrode 2", 0)]
EDGE_INTERVAL = 30  # blocks
SPEED = 8.0  # times real time


def generate_spikes(block: int) -> Iterator[tuple[int, int]]:
    """Yield (unit index, sample) of each spike in a block."""
    rng = np.random.default_rng(block)
    for unit in range(len(UNITS)):
        for sample in np.sort(rng.integers(0, BLOCK, rng.poisson(1 + unit))):
            yield unit, block * BLOCK + int(sample)


class OpenEphysPublisher:
    def __init__(self, port: int) -> None:
        self._context = zmq.Context()
        self._data = self._context.socket(zmq.PUB)
        self._data.setsockopt(zmq.SNDHWM, 0)
        self._data.bind(f"tcp://127.0.0.1:{port}")
        self._heartbeat = self._context.socket(zmq.REP)
        self._heartbeat.bind(f"tcp://127.0.0.1:{port + 1}")
        self._number = 0

    def answer_heartbeat(self, wait_ms: int) -> bool:
        if not self._heartbeat.poll(wait_ms):
            return False
        heartbeat = json.loads(self._heartbeat.recv())
        assert set(heartbeat) == {"application", "uuid", "type"}, heartbeat
        self._heartbeat.send(b"heartbeat received")
        return True

    def publish(self, block: int, lost: frozenset[int]) -> None:
        samples = np.zeros(BLOCK, np.float32).tobytes()
        content = {
            "stream": STREAM,
            "channel_num": 1,
            "channel_name": "CH1",
            "num_samples": BLOCK,
            "sample_num": block * BLOCK,
            "sample_rate": SAMPLE_HZ,
        }
        header = {"type": "data", "content": content, "data_size": len(samples)}
        self._send(b"DATA", header, samples, block in lost)
        for unit, sample in generate_spikes(block):
            electrode, sorted_id = UNITS[unit]
            spike = {
                "stream": STREAM,
                "source_node": 105,
                "electrode": electrode,
                "sample_num": sample,
                "num_channels": 1,
                "num_samples": 40,
                "sorted_id": sorted_id,
                "threshold": [-50],
            }
            self._send(b"EVENT", {"type": "spike", "spike": spike}, b"\0" * 160)
        if block % EDGE_INTERVAL == 0:
            event = {"stream": STREAM, "source_node": 100, "type": 3}
            event["sample_num"] = block * BLOCK
            data = struct.pack("<BBQ", 4, block // EDGE_INTERVAL % 2, 0)
            header = {"type": "event", "content": event, "data_size": len(data)}
            self._send(b"EVENT", header, data)

    def _send(self, kind: bytes, header: dict, data: bytes, lost: bool = False) -> None:
        header |= {"message_num": self._number, "timestamp": int(time.time() * 1e3)}
        self._number += 1
        if not lost:
            self._data.send_multipart([kind + b"\0", json.dumps(header).encode(), data])


def main() -> None:
    port, lost = int(sys.argv[1]), frozenset(map(int, sys.argv[2:]))
    publisher = OpenEphysPublisher(port)
    while not publisher.answer_heartbeat(1000):
        pass
    block, began_s = 0, time.monotonic()
    while True:
        publisher.publish(block, lost)
        block += 1
        due_s = began_s + block * BLOCK / SAMPLE_HZ / SPEED
        publisher.answer_heartbeat(round(1e3 * max(0.0, due_s - time.monotonic())))


if __name__ == "__main__":
    main()
