"""ScanImage played by GNU Octave: real settings, known pixels, our user function."""

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

from rtrecon.config import WireSettings
from rtrecon.core.types import Array
from rtrecon.daemon.sockets import Doors
from rtrecon.protocol import messages
from tests.support.paths import BRIDGE

MATLAB = BRIDGE / "matlab"
HELPERS = Path(__file__).parent / "octave_path"
JARS = Path("/usr/share/java")  # where Debian's libjeromq-java puts it
OCTAVE_S = 120.0


def octave() -> str:
    """Return the program; skip where there is none."""
    found = shutil.which("octave-cli")
    if not found:
        pytest.skip("no GNU Octave here (Debian: octave, default-jre-headless)")
    return found


def jeromq() -> str:
    """Return the path of JeroMQ's jar; skip where there is none."""
    jar = JARS / "jeromq.jar"
    if not jar.exists():
        pytest.skip("no JeroMQ here (Debian: libjeromq-java)")
    return str(jar)


def start(code: str) -> subprocess.Popen[str]:
    """Run Octave code with the bridge and the tests' helpers at hand."""
    paths = f"addpath('{MATLAB.as_posix()}'); addpath('{HELPERS.as_posix()}')"
    # `exit` within the code: the end of a script makes Octave 7 complain.
    code = f"{paths}\n{code}\nexit"
    return subprocess.Popen(
        [octave(), "--quiet", "--no-init-file", "--eval", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key != "DISPLAY"},
        encoding="utf-8",
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Return what it printed; it must have ended well, without a word of complaint."""
    said, complaints = process.communicate(timeout=OCTAVE_S)
    complaints = re.sub(r".*(X11 DISPLAY|disabling GUI).*\n", "", complaints)
    assert (process.returncode, complaints) == (0, ""), said + complaints
    return said


@dataclass
class Play:
    """What ScanImage does, event by event, at `rate_hz` or as fast as it goes."""

    folder: Path
    settings: dict
    arguments: list = field(default_factory=list)
    mode: str = "grab"
    rate_hz: float = 0.0
    jar: str = ""
    events: list[dict] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    frames: int = 0

    def event(self, name: str, stripe: dict | None = None) -> None:
        """An event; without a stripe of its own, the buffer stays as it is."""
        at_s = self.frames / self.rate_hz if self.rate_hz else 0.0
        self.events.append({"name": name, "stripe": stripe or [], "at_s": at_s})

    def frame(self, number: int, t: float, *fields: dict, kind: str = "int16") -> None:
        """A frame of scan fields, made by `scan_field`."""
        self.frames += 1
        told = [{k: v for k, v in one.items() if k != "images"} for one in fields]
        self.pixels += [image for one in fields for image in one["images"]]
        stripe = {"frame": number, "t": t, "fields": told, "type": kind}
        self.event("frameAcquired", stripe)

    def start(self) -> subprocess.Popen[str]:
        """Begin; `finished` waits for its end."""
        plan, pixels = self.folder / "plan.json", self.folder / "pixels.bin"
        pixels.write_bytes(b"".join(image.tobytes() for image in self.pixels))
        told = {
            "bridge": str(MATLAB),
            "jar": self.jar,
            "settings": self.settings,
            "mode": self.mode,
            "arguments": self.arguments,
            "events": self.events,
            "pixels": str(pixels),
            "result": str(self.folder / "result.json"),
        }
        plan.write_text(json.dumps(told), encoding="utf-8")
        return start(f"play('{plan.as_posix()}')")

    def cost_ms(self) -> np.ndarray:
        """Return how long each frameAcquired took, once it has finished."""
        result = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        return np.array(result["cost_ms"])


def scan_field(
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


def real_acquisition(
    path: Path, index: int = 0
) -> tuple[dict, list[tuple[int, float]]]:
    """Return a real acquisition's settings, as `hSI` has them, and (number, time)s."""
    with gzip.open(path) as file:
        told = json.load(file)[index]
    stamps = [
        (int(d["frameNumbers"]), float(d["frameTimestamps_sec"]))
        for d in told["descriptions"]
    ]
    return _values(told["header"]), stamps


def _values(settings: dict) -> dict:
    return {
        key: _values(value) if isinstance(value, dict) else _value(value)
        for key, value in settings.items()
    }


def _value(text: str) -> object:
    """Read a scalar, a quoted text or a row of numbers; keep all else as text."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("'"):
        return text.strip("'")
    try:
        numbers = [float(number) for number in text.strip("[]").split()]
    except ValueError:
        return text
    return numbers if text.startswith("[") or not numbers else numbers[0]


class Listening:
    """The daemon's doors, both ways in; what came by them, decoded."""

    def __init__(self, wire_settings: WireSettings) -> None:
        self.messages: list[tuple[messages.Incoming, Array]] = []
        self.refused: list[str] = []
        self._doors = Doors.bind(wire_settings)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self._doors.close()

    def until_ended(self, process: subprocess.Popen[str]) -> str:
        """Take all in until a sender has ended; return what it printed."""
        ended = time.monotonic() + OCTAVE_S
        while process.poll() is None and time.monotonic() < ended:
            self._take()
        while self._take():
            pass
        return finished(process)

    def until(self, condition: Callable[[], bool]) -> None:
        """Take in what comes until the condition holds."""
        ended = time.monotonic() + OCTAVE_S
        while not condition():
            assert time.monotonic() < ended, f"in vain, {len(self.messages)} came"
            self._take()

    def frames(self) -> list[tuple[messages.Frame, Array]]:
        return [m for m in self.messages if isinstance(m[0], messages.Frame)]

    def starts(self) -> list[messages.Start]:
        return [m for m, _ in self.messages if isinstance(m, messages.Start)]

    def ends(self) -> list[messages.End]:
        return [m for m, _ in self.messages if isinstance(m, messages.End)]

    def _take(self) -> bool:
        came = bool(self._doors.frames.poll(100))
        if came:
            self.messages.append(messages.decode(self._doors.frames.recv_multipart()))
        self.refused += self._doors.keep()
        return came
