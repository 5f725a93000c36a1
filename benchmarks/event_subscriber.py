"""Receives events until the daemon stops, and prints the latencies as JSON.

It runs in a separate process, so that no other work delays it.
"""

from __future__ import annotations

import json
import sys
import time

import msgspec
import zmq

from rtrecon.protocol import messages
from rtrecon.transport import sockets

_NO_LATENCY = messages.LatencyPercentiles(0.0, 0.0, 0.0, 0.0, 0)


def main() -> None:
    context = zmq.Context()
    subscriber = sockets.connect_socket(context, zmq.SUB, sys.argv[1])
    event_latency_ms: list[float] = []
    frame_to_traces = _NO_LATENCY
    while True:
        parts = subscriber.recv_multipart()
        received_s = time.time()
        if bytes(parts[0]) not in (b"event", b"health"):
            continue
        message, _ = messages.decode_published(parts)
        if isinstance(message, messages.Health) and message.process == "daemon":
            frame_to_traces = message.latency_ms.get("frame_to_traces", frame_to_traces)
        if isinstance(message, messages.Event):
            if message.name == "shutdown":
                break
            if message.rule and message.t_frame is not None:
                event_latency_ms.append((received_s - message.t_frame) * 1e3)
    latency = msgspec.structs.asdict(frame_to_traces)
    result = {"frame_to_traces": latency, "event_latency_ms": event_latency_ms}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
