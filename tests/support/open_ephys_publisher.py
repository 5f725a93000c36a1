"""A program that speaks as Open Ephys' ZMQ Interface does; knows nothing of rtrecon.

It publishes once it has heard a heartbeat: a block of samples after another, the spikes
found in each, now and then an edge of a line; last a long silence of samples, until it
is ended. `spikes_in` tells what it says, for whoever wants to check.
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
EDGE_EVERY = 30  # blocks
HASTE = 8.0  # times real time


def spikes_in(block: int) -> Iterator[tuple[int, int]]:
    """(unit, sample) of the spikes in a block."""
    rng = np.random.default_rng(block)
    for unit in range(len(UNITS)):
        for sample in np.sort(rng.integers(0, BLOCK, rng.poisson(1 + unit))):
            yield unit, block * BLOCK + int(sample)


class Publisher:
    def __init__(self, port: int) -> None:
        self._context = zmq.Context()
        self._data = self._context.socket(zmq.PUB)
        self._data.setsockopt(zmq.SNDHWM, 0)
        self._data.bind(f"tcp://127.0.0.1:{port}")
        self._heart = self._context.socket(zmq.REP)
        self._heart.bind(f"tcp://127.0.0.1:{port + 1}")
        self._number = 0

    def heartbeat(self, wait_ms: int) -> bool:
        if not self._heart.poll(wait_ms):
            return False
        said = json.loads(self._heart.recv())
        assert set(said) == {"application", "uuid", "type"}, said
        self._heart.send(b"heartbeat received")
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
        self._say(b"DATA", header, samples, block in lost)
        for unit, sample in spikes_in(block):
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
            self._say(b"EVENT", {"type": "spike", "spike": spike}, b"\0" * 160)
        if block % EDGE_EVERY == 0:
            event = {"stream": STREAM, "source_node": 100, "type": 3}
            event["sample_num"] = block * BLOCK
            data = struct.pack("<BBQ", 4, block // EDGE_EVERY % 2, 0)
            header = {"type": "event", "content": event, "data_size": len(data)}
            self._say(b"EVENT", header, data)

    def _say(self, kind: bytes, header: dict, data: bytes, lost: bool = False) -> None:
        header |= {"message_num": self._number, "timestamp": int(time.time() * 1e3)}
        self._number += 1
        if not lost:
            self._data.send_multipart([kind + b"\0", json.dumps(header).encode(), data])


def main() -> None:
    port, lost = int(sys.argv[1]), frozenset(map(int, sys.argv[2:]))
    publisher = Publisher(port)
    while not publisher.heartbeat(1000):
        pass
    block, began_s = 0, time.monotonic()
    while True:
        publisher.publish(block, lost)
        block += 1
        due_s = began_s + block * BLOCK / SAMPLE_HZ / HASTE
        publisher.heartbeat(round(1e3 * max(0.0, due_s - time.monotonic())))


if __name__ == "__main__":
    main()
