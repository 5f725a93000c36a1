"""Streams the camera of a Micro-Manager configuration, through pymmcore-plus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)

POLL_S = 0.001  # between two looks into the camera's buffer
_TIMEOUT_S = 10.0  # a camera without a new image for this long has stopped


def load_core(config: Path) -> Any:
    """Return a Micro-Manager core with the devices of a .cfg file; raises UserError."""
    try:
        from pymmcore_plus import CMMCorePlus
    except ImportError:
        raise UserError(
            "Micro-Manager needs an extra package; install it with: pip install "
            "'rtrecon[micromanager]'"
        ) from None
    if not config.is_file():
        raise UserError(f"Micro-Manager's configuration {config} does not exist")
    core = CMMCorePlus()
    try:
        core.loadSystemConfiguration(config)
    except Exception as error:  # device adapters raise exceptions of many types
        raise UserError(
            f"Micro-Manager cannot load {config}: {error}; does it load in "
            "Micro-Manager itself, and is that the version that pymmcore needs ("
            "'mmcore install')?"
        ) from None
    return core


class MicroManagerCamera(Recording):
    """The current camera of a core, streaming until it stops or is closed.

    rate_hz: of the hints, or one frame per exposure. Frames are numbered from 1 and
    carry the camera's time. Raises `RecordingError`.
    """

    def __init__(self, core: Any, hints: RecordingHints) -> None:
        self._core = core
        camera = core.getCameraDevice()
        if not camera:
            raise RecordingError("Micro-Manager's configuration has no camera")
        self.name = f"Micro-Manager camera {camera}"
        self.channels = hints.select_channels((1,))
        exposure_s = float(core.getExposure()) / 1000
        self.rate_hz = hints.resolve_rate_hz(1 / exposure_s if exposure_s > 0 else None)
        core.snapImage()
        first: Array = core.getImage()
        if first.ndim != 2:
            raise RecordingError(
                f"{self.name} takes images of shape {list(first.shape)}; only grey "
                "images (lines, pixels) can be read"
            )
        self.shape = (first.shape[0], first.shape[1])
        self.dtype = choose_pixel_type(first.dtype, first)

    def frames(self) -> Iterator[RecordedFrame]:
        """Start the camera and yield its images as they arrive."""
        core = self._core
        core.startContinuousSequenceAcquisition(0)
        last_image_s = time.monotonic()
        try:
            while time.monotonic() - last_image_s < _TIMEOUT_S:
                if core.getRemainingImageCount():
                    last_image_s = time.monotonic()
                    yield self._build_frame(*core.popNextImageAndMD())
                elif core.isBufferOverflowed():
                    raise RecordingError(
                        f"{self.name}: images arrived faster than they were read, and "
                        "its buffer overflowed; enlarge the buffer or slow the camera "
                        "down"
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

    def _build_frame(self, image: Array, metadata: Any) -> RecordedFrame:
        number = int(metadata["ImageNumber"]) + 1
        pixels = convert_pixels(image, self.dtype, f"{self.name}: frame {number}")
        return RecordedFrame(number, float(metadata["ElapsedTime-ms"]) / 1000, pixels)
