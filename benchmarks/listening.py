"""Hears a daemon to its end, as any program beside it; prints what it heard as JSON.

A process of its own, so that its clock stands for nobody else's work.
"""

from __future__ import annotations

import json
import sys
import time

import msgspec
import zmq

from rtrecon.protocol import messages
from rtrecon.transport import sockets

_NOTHING = messages.Percentiles(0.0, 0.0, 0.0, 0.0, 0)


def main() -> None:
    context = zmq.Context()
    ear = sockets.connect(context, zmq.SUB, sys.argv[1])
    react_ms: list[float] = []
    front = _NOTHING
    while True:
        parts = ear.recv_multipart()
        heard_s = time.time()
        if bytes(parts[0]) not in (b"event", b"health"):
            continue
        message, _ = messages.decode_published(parts)
        if isinstance(message, messages.Health) and message.station == "front":
            front = message.latency_ms.get("frame_to_traces", front)
        if isinstance(message, messages.Event):
            if message.name == "shutdown":
                break
            if message.rule and message.t_frame is not None:
                react_ms.append((heard_s - message.t_frame) * 1e3)
    print(json.dumps({"front": msgspec.structs.asdict(front), "react_ms": react_ms}))


if __name__ == "__main__":
    main()
