"""Send a movie to rtrecon as a microscope would. Needs numpy and pyzmq, not rtrecon.

    python sender.py movie.npy --rate 30

movie.npy holds int16 or uint16 frames (n, lines, pixels). The protocol is described in
../README.md; copy from this file what your own sender needs.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from pathlib import Path

import numpy as np
import zmq
import zmq.auth


def open_socket(address: str, keys: Path | None = None) -> zmq.Socket:
    """Return a socket that never blocks the microscope and queues about a second.

    `keys`: a folder from `rtrecon keys`, for a daemon with keys.
    """
    socket = zmq.Context.instance().socket(zmq.PUSH)
    if keys:
        socket.curve_serverkey, _ = zmq.auth.load_certificate(keys / "server.key")
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(
            keys / "client.key_secret"
        )
    socket.setsockopt(zmq.SNDHWM, 32)
    socket.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a missing daemon
    socket.setsockopt(zmq.LINGER, 2000)  # ms for queued frames at the end
    socket.connect(address)
    return socket


class MessageSender:
    """Sends messages; never waits. Counts `n_sent` and `n_dropped`."""

    def __init__(self, address: str, keys: Path | None = None) -> None:
        self.n_sent = self.n_dropped = 0
        self._session = str(uuid.uuid4())
        self._socket = open_socket(address, keys)

    def wait_for_daemon(self, timeout_s: float = 5.0) -> bool:
        """Wait for a daemon before the experiment; False if there is none."""
        return bool(self._socket.poll(round(1000 * timeout_s), zmq.POLLOUT))

    def send(self, header: dict, payload: np.ndarray | bytes = b"") -> None:
        """Send a header, completed by session and number, and its payload."""
        header = {"session": self._session, "seq": self.n_sent, **header}
        try:
            self._socket.send_multipart(
                [json.dumps(header).encode(), payload], zmq.DONTWAIT
            )
        except zmq.Again:  # no daemon, or it is too slow
            self.n_dropped += 1
        else:
            self.n_sent += 1

    def close(self) -> None:
        """Close the socket; queued messages get two seconds to be sent."""
        self._socket.close()
        zmq.Context.instance().term()


def stream(frames: np.ndarray, socket: zmq.Socket, rate_hz: float) -> tuple[int, int]:
    """Send frames (n, lines, pixels) at a rate; return how many were sent and lost."""
    session, seq = str(uuid.uuid4()), 0

    def send(header: dict, payload: bytes = b"") -> bool:
        nonlocal seq
        header = {"v": 1, "session": session, "seq": seq, **header}
        try:
            socket.send_multipart([json.dumps(header).encode(), payload], zmq.DONTWAIT)
        except zmq.Again:  # no daemon, or it is too slow: the frame is lost
            return False
        seq += 1  # counts sent messages: a gap means a loss on the network
        return True

    layout = {"shape": frames.shape[1:], "dtype": frames.dtype.name}
    start = {"type": "start", "source": "sender.py", "rate_hz": rate_hz, **layout}
    while not send(start):  # wait for the daemon
        time.sleep(0.05)
    began, started, sent = time.monotonic(), time.monotonic(), 0
    for i, pixels in enumerate(frames):
        time.sleep(max(0.0, began + i / rate_hz - time.monotonic()))
        if time.monotonic() - started > 1.0:  # repeat it for a daemon that starts later
            started, _ = time.monotonic(), send(start)
        frame = {"type": "frame", "frame": i + 1, "t": i / rate_hz, "dropped": i - sent}
        frame |= {"t_send": time.time(), **layout}
        sent += send(frame, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    counts = {"frames": sent, "dropped": len(frames) - sent}
    send({"type": "end", "reason": "no more frames", **counts})
    socket.close()
    zmq.Context.instance().term()
    return sent, len(frames) - sent


def main() -> None:
    """Send a .npy file."""
    parser = argparse.ArgumentParser(description="Send a movie as a microscope would.")
    parser.add_argument("movie", help=".npy, int16 or uint16 (n, lines, pixels)")
    parser.add_argument("--address", default="tcp://127.0.0.1:5560")
    parser.add_argument("--keys", type=Path, help="folder from `rtrecon keys`")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    options = parser.parse_args()
    frames = np.load(options.movie, mmap_mode="r", allow_pickle=False)
    if frames.ndim != 3 or frames.dtype.name not in ("int16", "uint16"):
        parser.error(f"{options.movie} is {frames.dtype} {list(frames.shape)}")
    socket = open_socket(options.address, options.keys)
    sent, lost = stream(frames, socket, options.rate)
    print(f"{sent} frames sent, {lost} lost")


if __name__ == "__main__":
    main()
