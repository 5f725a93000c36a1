"""Messages in the layout that ScanImage is assumed to publish."""

from __future__ import annotations

import json

import numpy as np

SHAPE, RATE_HZ = (12, 16), 50.0


def make_message(number: int, channels=(1, 3), **more: object) -> list[bytes]:
    described = {
        "frameNumbers": number,
        "frameTimestamps_sec": number / RATE_HZ,
        "linesPerFrame": SHAPE[0],
        "pixelsPerLine": SHAPE[1],
        "channelSave": list(channels),
        "somethingElse": {"nobody": "needs"},
    }
    images = [make_image(number, channel).tobytes() for channel in channels]
    return [b"frame", json.dumps(described | more).encode(), *images]


def make_image(number: int, channel: int) -> np.ndarray:
    return np.full(SHAPE, 10 * number + channel, "<i2")
