"""Small TIFF files in ScanImage's layout: settings first, then page by page."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array

MAGIC, VERSION = 117637889, 4
SETTINGS_OFFSET = 32  # bytes, after the headers of the file and of the settings block
SETTINGS = {
    "SI.hChannels.channelSave": "1",
    "SI.hRoiManager.scanFrameRate": "30.02",
    "SI.hRoiManager.mroiEnable": "false",
    "SI.hStackManager.enable": "false",
    "SI.hStackManager.numSlices": "1",
    "SI.hStackManager.framesPerSlice": "Inf",
}
SHORT, LONG, LONG8, ASCII = 3, 4, 16, 2


def make_pages(
    n: int,
    shape: tuple[int, int] = (12, 16),
    dtype: type[np.generic] = np.int16,
    seed: int = 0,
) -> Array:
    """Return random pixels (n, lines, pixels)."""
    return np.random.default_rng(seed).integers(0, 3000, (n, *shape)).astype(dtype)


def write_scanimage(
    path: Path,
    pixels: Array,
    stamps: list[tuple[int, float]] | None = None,
    settings: dict[str, str] | None = None,
    rois: object = None,
    compression: int = 1,
) -> Path:
    """Write pages (n, lines, pixels) with a (frame number, time in s) for each.

    settings: lines of the settings block that differ from `SETTINGS`. rois: the imaging
    ROI group. compression: of TIFF, 1 is none.
    """
    stamps = stamps or [(i + 1, i / 30.0) for i in range(len(pixels))]
    lines = (f"{key} = {value}" for key, value in (SETTINGS | (settings or {})).items())
    frame_data = "\n".join(lines).encode() + b"\0"
    roi_data = json.dumps({"RoiGroups": {"imagingRoiGroup": {"rois": rois}}}).encode()
    block = struct.pack("<4I", MAGIC, VERSION, len(frame_data), len(roi_data) + 1)
    block += frame_data + roi_data + b"\0"
    out = bytearray(b"II" + struct.pack("<HHHQ", 43, 8, 0, 16 + len(block)) + block)
    for i, (page, (number, t_s)) in enumerate(zip(pixels, stamps, strict=True)):
        text = f"frameNumbers = {number}\nframeTimestamps_sec = {t_s:.9f}\0".encode()
        last = i == len(pixels) - 1
        out += _build_page(len(out), page, text, compression, len(frame_data), last)
    path.write_bytes(out)
    return path


def _build_page(
    start: int,
    page: Array,
    text: bytes,
    compression: int,
    software_size: int,
    last: bool,
) -> bytes:
    data = page.tobytes() if compression == 1 else zlib.compress(page.tobytes())
    n_tags = 11
    text_at = start + 8 + 20 * n_tags + 8
    data_at = text_at + len(text)
    signed = 2 if page.dtype.kind == "i" else 1
    tags = [
        (256, LONG, 1, page.shape[1]),
        (257, LONG, 1, page.shape[0]),
        (258, SHORT, 1, 8 * page.dtype.itemsize),
        (259, SHORT, 1, compression),
        (262, SHORT, 1, 1),
        (270, ASCII, len(text), text_at),
        (273, LONG8, 1, data_at),
        (278, LONG, 1, page.shape[0]),
        (279, LONG8, 1, len(data)),
        (305, ASCII, software_size, SETTINGS_OFFSET),
        (339, SHORT, 1, signed),
    ]
    ifd = struct.pack("<Q", n_tags) + b"".join(struct.pack("<HHQQ", *t) for t in tags)
    following = 0 if last else data_at + len(data)
    return ifd + struct.pack("<Q", following) + text + data
