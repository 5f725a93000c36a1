"""What the window costs: redraws per second, and the share of one core they take.

    python benchmarks/redraw.py [--seconds 20]

A process publishes what a daemon does in a session of 1000 neurons, at its pace, on a
real socket; the window draws it offscreen, at its default size. The core's share is
that of the window's process alone: all its threads, over the time measured.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from contextlib import closing

import psutil
import zmq
from PySide6.QtCore import QEventLoop, QTimer
from rich import print as show

SETTLE_S = 3.0  # first pictures, first glyphs, first sockets
PUBLISH = """
import sys, time
import zmq
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import World
from rtrecon.transport import sockets
told = [
    (t, messages.encode_published(*message))
    for t, *message in World(n_neurons=1000, seconds=float(sys.argv[1])).messages()
]
with zmq.Context() as context, sockets.bind(context, zmq.PUB, sys.argv[2]) as daemon:
    print("ready", flush=True)
    began_s = time.monotonic()
    for t_s, parts in told:
        time.sleep(max(0.0, began_s + t_s - time.monotonic()))
        daemon.send_multipart(parts)
"""


def measure(seconds: float = 20.0) -> dict[str, float]:
    """Return `redraw_hz` of the movie and `redraw_core_fraction` of one core."""
    address = _free_address()
    command = [sys.executable, "-c", PUBLISH]
    command += [str(seconds + 2 * SETTLE_S), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            return _watched(address, seconds)
        finally:
            daemon.kill()


def _watched(address: str, seconds: float) -> dict[str, float]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Here, for Qt reads where to draw when it is loaded.
    from rtrecon.display import DisplayOptions, screen
    from rtrecon.display.client import Client
    from rtrecon.display.window import Window

    screen.application(headless=True)
    addresses = address, address
    with zmq.Context() as context, closing(Client(context, addresses)) as client:
        window = Window(DisplayOptions(*addresses), client)
        window.show()
        window.start()
        shown = []
        window.drawn.connect(lambda: shown.append(time.monotonic()))
        _run(SETTLE_S)
        began_s, used_s = time.monotonic(), _used_s()
        _run(seconds)
        took_s, used_s = time.monotonic() - began_s, _used_s() - used_s
        redraws = sum(at_s >= began_s for at_s in shown)
        assert window.state.quality, "nothing was heard: the figures would be idle ones"
        window.close()
    return {"redraw_hz": redraws / took_s, "redraw_core_fraction": used_s / took_s}


def _run(seconds: float) -> None:
    loop = QEventLoop()  # not the application's own, whose end closes the window
    QTimer.singleShot(round(1e3 * seconds), loop.quit)
    loop.exec()


def _used_s() -> float:
    """Return the processor time that this process has used so far, all its threads."""
    used = psutil.Process().cpu_times()
    return used.user + used.system


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    for name, value in measure(parser.parse_args().seconds).items():
        show(f"{name}: {value:.3g}")


if __name__ == "__main__":
    main()
