"""The camera of a Micro-Manager configuration, through pymmcore-plus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.pixels import as_pixels, pixel_type
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError

POLL_S = 0.001  # between looks into the camera's buffer
_STILL_S = 10.0  # without an image, after which a camera is taken to have stopped


def load_core(config: Path) -> Any:
    """Return a Micro-Manager core with the devices of a .cfg file; raises UserError."""
    try:
        from pymmcore_plus import CMMCorePlus
    except ImportError:
        raise UserError(
            "Micro-Manager needs an extra; install it with: pip install "
            "'rtrecon[micromanager]'"
        ) from None
    if not config.is_file():
        raise UserError(f"Micro-Manager's configuration {config} does not exist")
    core = CMMCorePlus()
    try:
        core.loadSystemConfiguration(config)
    except Exception as error:  # device adapters raise what they like
        raise UserError(
            f"Micro-Manager cannot load {config}: {error}; does it load in "
            "Micro-Manager itself, and is that the version which pymmcore wants ("
            "'mmcore install')?"
        ) from None
    return core


class MicroManager(Recording):
    """The current camera of a core, streaming until it stops or is closed.

    rate_hz is given, or one frame per exposure. Frames are numbered from 1 and carry
    the camera's own time. Raises `RecordingError`.
    """

    def __init__(self, core: Any, hints: Hints) -> None:
        self._core = core
        camera = core.getCameraDevice()
        if not camera:
            raise RecordingError("Micro-Manager's configuration has no camera")
        self.name = f"Micro-Manager camera {camera}"
        self.channels = hints.chosen((1,))
        exposure_s = float(core.getExposure()) / 1000
        self.rate_hz = hints.known_rate_hz(1 / exposure_s if exposure_s > 0 else None)
        core.snapImage()
        first: Array = core.getImage()
        if first.ndim != 2:
            raise RecordingError(
                f"{self.name} takes images of {list(first.shape)}; grey ones can be"
            )
        self.shape = (first.shape[0], first.shape[1])
        self.dtype = pixel_type(first.dtype, first)

    def frames(self) -> Iterator[RecordedFrame]:
        """Start the camera and yield its images as they come."""
        core = self._core
        core.startContinuousSequenceAcquisition(0)
        heard_s = time.monotonic()
        try:
            while time.monotonic() - heard_s < _STILL_S:
                if core.getRemainingImageCount():
                    heard_s = time.monotonic()
                    yield self._frame(*core.popNextImageAndMD())
                elif core.isBufferOverflowed():
                    raise RecordingError(
                        f"{self.name}: images came faster than they were taken, and "
                        "its buffer ran over; make it larger or the camera slower"
                    )
                elif not core.isSequenceRunning():
                    return
                else:
                    time.sleep(POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        """Stop the camera."""
        if self._core.isSequenceRunning():
            self._core.stopSequenceAcquisition()

    def _frame(self, image: Array, said: Any) -> RecordedFrame:
        number = int(said["ImageNumber"]) + 1
        pixels = as_pixels(image, self.dtype, f"{self.name}: frame {number}")
        return RecordedFrame(number, float(said["ElapsedTime-ms"]) / 1000, pixels)
