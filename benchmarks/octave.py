"""Measures the MATLAB sender under GNU Octave: frames per second, ms in the callback.

    python benchmarks/octave.py [--frames 900]

The user function is called as ScanImage calls it, with 512 x 512 int16 images; the
daemon's sockets receive what it sends. Needs `octave-cli` with Java, and JeroMQ's jar.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import print as show

from rtrecon.config import NetworkSettings
from rtrecon.core.errors import UserError
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.protocol import messages

PLAYER = Path(__file__).parent / "octave_play"
BRIDGE = Path(__file__).parents[1] / "bridge" / "matlab"
JEROMQ = Path("/usr/share/java/jeromq.jar")  # of Debian's libjeromq-java
ADDRESS = "tcp://127.0.0.1:{}"
PORTS = {"tcp": 55611, "jeromq": 55601}
LINES, RATE_HZ = 512, 30.0
N_WARM = 60  # first calls: Octave reads files and Java compiles
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class OctaveRun:
    """One run: arrival times of the frames, and the time that each call took."""

    arrived_s: list[float]
    cost_ms: np.ndarray

    @property
    def fps(self) -> float:
        """Frames that arrived per second, after the first ones."""
        warm = self.arrived_s[min(N_WARM, len(self.arrived_s) // 2) :]
        return (len(warm) - 1) / (warm[-1] - warm[0])


def measure(n_frames: int) -> dict[str, float]:
    """Return fps as fast as it goes, and ms in the callback at 30 Hz, by transport.

    `callback_ms_*` are of framed TCP, the default; `callback_busy_ms_p50` is of frames
    one right after the other, when no processor goes to sleep in between. Raises
    UserError without Octave.
    """
    figures: dict[str, float] = {}
    for transport, prefix in (("tcp", ""), ("jeromq", "jeromq_")):
        busy = _run_octave(transport, n_frames, 0.0)
        paced = _run_octave(transport, n_frames, RATE_HZ)
        p50, p99 = np.percentile(paced.cost_ms[N_WARM:], [50, 99])
        figures[f"octave_{transport}_fps"] = round(busy.fps, 1)
        figures[f"{prefix}callback_ms_p50"] = round(float(p50), 3)
        figures[f"{prefix}callback_ms_p99"] = round(float(p99), 3)
        busy_ms = float(np.median(busy.cost_ms[N_WARM:]))
        figures[f"{prefix}callback_busy_ms_p50"] = round(busy_ms, 3)
        figures[f"octave_{transport}_lost"] = n_frames - len(paced.arrived_s)
    return figures


def _run_octave(transport: str, n_frames: int, rate_hz: float) -> OctaveRun:
    addresses = {name: ADDRESS.format(port) for name, port in PORTS.items()}
    daemon_sockets = DaemonSockets.bind_all(
        NetworkSettings(
            frames=addresses["jeromq"],
            tcp=addresses["tcp"],
            publish=ADDRESS.format(55620),
            control=ADDRESS.format(55630),
            results=ADDRESS.format(55640),
        )
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            result = Path(scratch) / "cost.json"
            arguments = (
                f"'transport', '{transport}', 'address', '{addresses[transport]}'"
            )
            octave = _start_octave(
                f"callbacks('{result.as_posix()}', {n_frames}, {rate_hz}, {LINES}, "
                f"{arguments})"
            )
            arrived_s = _receive_arrivals(daemon_sockets, octave)
            return OctaveRun(arrived_s, np.array(json.loads(result.read_text())))
    finally:
        daemon_sockets.close()


def _start_octave(call: str) -> subprocess.Popen[bytes]:
    octave = shutil.which("octave-cli")
    if not octave or not JEROMQ.exists():
        raise UserError(
            "this needs GNU Octave with Java, and JeroMQ; on Debian: apt install "
            "octave default-jre-headless libjeromq-java"
        )
    paths = f"addpath('{BRIDGE.as_posix()}'); addpath('{PLAYER.as_posix()}')"
    code = f"{paths}\njavaaddpath('{JEROMQ.as_posix()}')\n{call}\nexit"
    return subprocess.Popen([octave, "--quiet", "--no-init-file", "--eval", code])


def _receive_arrivals(
    daemon_sockets: DaemonSockets, octave: subprocess.Popen[bytes]
) -> list[float]:
    """Receive frames until Octave ends; return the arrival time of each."""
    arrived_s: list[float] = []
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        if daemon_sockets.frames.poll(100):
            message, _ = messages.decode_incoming(
                daemon_sockets.frames.recv_multipart()
            )
            arrived_s += [time.monotonic()] * isinstance(message, messages.Frame)
        elif octave.poll() is not None:
            return arrived_s
    octave.kill()
    raise UserError(f"Octave did not end within {TIMEOUT_S:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=900, help="per run, of four")
    show(measure(parser.parse_args().frames))


if __name__ == "__main__":
    main()
