"""Measures the window: redraws per second, and the share of one core they take.

    python benchmarks/redraw.py [--seconds 20]

A process publishes the messages of a session of 1000 neurons in real time on a socket,
as a daemon does. The window draws them offscreen at its default size. The share of a
core is that of all threads of the window's process.
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

WARM_UP_S = 3.0  # not measured: first pictures, first glyphs, first sockets
PUBLISH = """
import sys, time
import zmq
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import SimulatedExperiment
from rtrecon.transport import sockets
experiment = SimulatedExperiment(n_neurons=1000, seconds=float(sys.argv[1]))
encoded = [
    (t, messages.encode_published(*message))
    for t, *message in experiment.generate_messages()
]
context = zmq.Context()
with context, sockets.bind_socket(context, zmq.PUB, sys.argv[2]) as daemon:
    print("ready", flush=True)
    began_s = time.monotonic()
    for t_s, parts in encoded:
        time.sleep(max(0.0, began_s + t_s - time.monotonic()))
        daemon.send_multipart(parts)
"""


def measure(seconds: float = 20.0) -> dict[str, float]:
    """Return `redraw_hz` of the movie and `redraw_core_fraction` of one core."""
    address = _find_free_address()
    command = [sys.executable, "-c", PUBLISH]
    command += [str(seconds + 2 * WARM_UP_S), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            return _measure_window(address, seconds)
        finally:
            daemon.kill()


def _measure_window(address: str, seconds: float) -> dict[str, float]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Imported here: Qt reads the platform from the environment when it is loaded.
    from rtrecon.display import DisplayOptions
    from rtrecon.display.application import create_application
    from rtrecon.display.client import DisplayClient
    from rtrecon.display.panel_states.quality import QualityState
    from rtrecon.display.window import Window

    create_application(headless=True)
    addresses = address, address
    with zmq.Context() as context, closing(DisplayClient(context, addresses)) as client:
        window = Window(DisplayOptions(*addresses), client)
        window.show()
        window.start()
        redraw_times_s = []
        window.frame_drawn.connect(lambda: redraw_times_s.append(time.monotonic()))
        _run_event_loop(WARM_UP_S)
        began_s, processor_s = time.monotonic(), _processor_time_s()
        _run_event_loop(seconds)
        took_s = time.monotonic() - began_s
        processor_s = _processor_time_s() - processor_s
        redraws = sum(t_s >= began_s for t_s in redraw_times_s)
        samples = window.state.panel(QualityState).samples
        assert samples, "no message arrived, so the window had nothing to draw"
        window.close()
    return {"redraw_hz": redraws / took_s, "redraw_core_fraction": processor_s / took_s}


def _run_event_loop(seconds: float) -> None:
    loop = QEventLoop()  # the end of the application's own loop would close the window
    QTimer.singleShot(round(1e3 * seconds), loop.quit)
    loop.exec()


def _processor_time_s() -> float:
    """Return the processor time of this process so far, in all its threads."""
    times = psutil.Process().cpu_times()
    return times.user + times.system


def _find_free_address() -> str:
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
