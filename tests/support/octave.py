"""Runs the MATLAB bridge in GNU Octave, with a script that acts as ScanImage."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from rtrecon.config import NetworkSettings
from rtrecon.core.types import Array
from rtrecon.daemon.sockets import DaemonSockets
from rtrecon.protocol import messages
from tests.support.paths import BRIDGE

MATLAB = BRIDGE / "matlab"
HELPERS = Path(__file__).parent / "octave_path"
JARS = Path("/usr/share/java")  # of Debian's libjeromq-java
OCTAVE_S = 120.0
LAST_MESSAGE_MS = 300  # for a message that the sender's last write has just passed on
SHAPE = (24, 40)  # lines, pixels: they differ, so a transposed image is noticed
TRANSPORTS = ("tcp", "jeromq")
RNG = np.random.default_rng(5)


def require_octave() -> str:
    """Return the Octave program; skip the test if it is not installed."""
    program = shutil.which("octave-cli")
    if not program:
        pytest.skip(
            "GNU Octave is not installed (Debian: octave, default-jre-headless)"
        )
    return program


def require_jeromq() -> str:
    """Return the path of JeroMQ's jar; skip the test if it is not installed."""
    jar = JARS / "jeromq.jar"
    if not jar.exists():
        pytest.skip("JeroMQ is not installed (Debian: libjeromq-java)")
    return str(jar)


def start_octave(code: str) -> subprocess.Popen[str]:
    """Start Octave code with the bridge and the tests' functions on its path."""
    paths = f"addpath('{MATLAB.as_posix()}'); addpath('{HELPERS.as_posix()}')"
    # Octave 7 prints an error at the end of a script without `exit`.
    code = f"{paths}\n{code}\nexit"
    return subprocess.Popen(
        [require_octave(), "--quiet", "--no-init-file", "--eval", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key != "DISPLAY"},
        encoding="utf-8",
    )


def read_output(process: subprocess.Popen[str]) -> str:
    """Wait for the end; return the output. Fails on errors or error output."""
    output, errors = process.communicate(timeout=OCTAVE_S)
    errors = re.sub(r".*(X11 DISPLAY|disabling GUI).*\n", "", errors)
    assert (process.returncode, errors) == (0, ""), output + errors
    return output


@dataclass
class ScanImageScript:
    """The events of ScanImage, played at `rate_hz` or as fast as possible.

    is_paced: each frame waits until `run_script` has received the images before it. A
    sender drops and counts what a busy computer does not take in time.
    """

    folder: Path
    settings: dict
    arguments: list = field(default_factory=list)
    mode: str = "grab"
    rate_hz: float = 0.0
    jar: str = ""
    is_paced: bool = False
    events: list[dict] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    n_frames: int = 0

    def add_event(self, name: str, stripe: dict | None = None) -> None:
        """Add an event; without a stripe, the frame buffer does not change."""
        at_s = self.n_frames / self.rate_hz if self.rate_hz else 0.0
        n_before = len(self.pixels) if self.is_paced else 0
        self.events.append(
            {"name": name, "stripe": stripe or [], "at_s": at_s, "n_before": n_before}
        )

    @property
    def receipt(self) -> Path:
        """The file with one byte for each image that `run_script` has received."""
        return self.folder / "received.bin"

    def add_frame(
        self, number: int, t: float, *fields: dict, kind: str = "int16"
    ) -> None:
        """Add a frame of scan fields from `make_scan_field`."""
        self.n_frames += 1
        field_headers = [
            {k: v for k, v in one.items() if k != "images"} for one in fields
        ]
        stripe = {"frame": number, "t": t, "fields": field_headers, "type": kind}
        self.add_event("frameAcquired", stripe)
        self.pixels += [image for one in fields for image in one["images"]]

    def start(self) -> subprocess.Popen[str]:
        """Start Octave; `read_output` waits for its end."""
        plan_file, pixels = self.folder / "plan.json", self.folder / "pixels.bin"
        self.receipt.write_bytes(b"")
        pixels.write_bytes(b"".join(image.tobytes() for image in self.pixels))
        plan = {
            "bridge": str(MATLAB),
            "jar": self.jar,
            "settings": self.settings,
            "mode": self.mode,
            "arguments": self.arguments,
            "events": self.events,
            "pixels": str(pixels),
            "receipt": str(self.receipt),
            "result": str(self.folder / "result.json"),
        }
        plan_file.write_text(json.dumps(plan), encoding="utf-8")
        return start_octave(f"play('{plan_file.as_posix()}')")

    def read_cost_ms(self) -> np.ndarray:
        """Return the duration of each frameAcquired call; Octave must have ended."""
        result = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        return np.array(result["cost_ms"])


def make_scan_field(
    images: np.ndarray, channels=(1,), zs=(0.0,), uuid="EACD34368CBAAFB7"
) -> dict:
    """Return a scan field's part of a frame: images (channel * z, lines, pixels)."""
    return {
        "channels": list(channels),
        "zs": list(zs),
        "uuid": uuid,
        "shape": list(images.shape[1:]),
        "images": list(images),
    }


def read_real_acquisition(
    path: Path, index: int = 0
) -> tuple[dict, list[tuple[int, float]]]:
    """Return a real acquisition's settings (as in `hSI`) and (number, time) pairs."""
    with gzip.open(path) as file:
        acquisition = json.load(file)[index]
    stamps = [
        (int(d["frameNumbers"]), float(d["frameTimestamps_sec"]))
        for d in acquisition["descriptions"]
    ]
    return _convert_settings(acquisition["header"]), stamps


def _convert_settings(settings: dict) -> dict:
    return {
        key: _convert_settings(value)
        if isinstance(value, dict)
        else _convert_value(value)
        for key, value in settings.items()
    }


def _convert_value(text: str) -> object:
    """Convert a number, quoted text or row of numbers; return the rest as text."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("'"):
        return text.strip("'")
    try:
        numbers = [float(number) for number in text.strip("[]").split()]
    except ValueError:
        return text
    return numbers if text.startswith("[") or not numbers else numbers[0]


class MessageCollector:
    """Collects the messages that arrive at the daemon's sockets, decoded."""

    def __init__(self, network: NetworkSettings, receipt: Path | None = None) -> None:
        self._receipt = receipt
        self.received: list[tuple[messages.IncomingMessage, Array]] = []
        self.notices: list[str] = []
        self._sockets = DaemonSockets.bind_all(network)

    def __enter__(self) -> MessageCollector:
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.close()

    def collect_until_ended(self, process: subprocess.Popen[str]) -> str:
        """Collect messages until a process has ended; return its output."""
        deadline_s = time.monotonic() + OCTAVE_S
        while process.poll() is None and time.monotonic() < deadline_s:
            self._receive_one()
        self.collect_rest()
        return read_output(process)

    def collect_rest(self) -> None:
        """Collect what has been sent and has not arrived yet."""
        while self._receive_one(LAST_MESSAGE_MS):
            pass

    def publish(self, message: messages.PublishedMessage) -> None:
        """Publish a message, as the daemon does."""
        self._sockets.publish.send_multipart(messages.encode_published(message))

    def collect_until(self, condition: Callable[[], bool]) -> None:
        """Collect messages until the condition holds."""
        deadline_s = time.monotonic() + OCTAVE_S
        while not condition():
            assert time.monotonic() < deadline_s, (
                f"timeout after {len(self.received)} messages"
            )
            self._receive_one()

    def frames(self) -> list[tuple[messages.Frame, Array]]:
        return [m for m in self.received if isinstance(m[0], messages.Frame)]

    def starts(self) -> list[messages.SessionStart]:
        return [m for m, _ in self.received if isinstance(m, messages.SessionStart)]

    def ends(self) -> list[messages.SessionEnd]:
        return [m for m, _ in self.received if isinstance(m, messages.SessionEnd)]

    def _receive_one(self, wait_ms: int = 100) -> bool:
        has_message = bool(self._sockets.frames.poll(wait_ms))
        if has_message:
            message = messages.decode_incoming(self._sockets.frames.recv_multipart())
            self.received.append(message)
            if self._receipt and isinstance(message[0], messages.Frame):
                with self._receipt.open("ab") as file:
                    file.write(b"1")
        self.notices += self._sockets.poll_authentication()
        return has_message


def choose_transport(
    script: ScanImageScript, transport: str, network: NetworkSettings
) -> ScanImageScript:
    """Let a script send by this transport; return it."""
    if transport == "jeromq":
        script.jar = require_jeromq()
        script.arguments = ["transport", "jeromq", "address", network.frames]
    return script


def draw_images(n: int, shape=SHAPE, dtype=np.int16) -> np.ndarray:
    """Return random images (n, lines, pixels)."""
    low = np.iinfo(dtype).min // 40  # negative values are in every real recording
    return RNG.integers(low, 3000, (n, *shape)).astype(dtype)


def run_script(
    script: ScanImageScript, network: NetworkSettings
) -> tuple[MessageCollector, str]:
    """Run a script to its end; return the messages it sent and its output."""
    with MessageCollector(network, script.receipt) as collector:
        return collector, collector.collect_until_ended(script.start())
