"""Writes TIFF files page by page, slowly, as a microscope does; run as a process.

    python tests/support/tiff_writer.py FORMAT FOLDER NAME... (several files: a LOOP)

Each page is written in three pieces with pauses between them. FORMAT: `big` is
ScanImage's BigTIFF, with links that are final from the start; in `patched`, the link to
a page is written after the page; `classic` is ScanImage 4, patched. Frame n holds the
value n in every pixel.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import numpy as np

from rtrecon.testing.scanimage_file import write_scanimage

N_FRAMES, SHAPE, RATE_HZ = 12, (12, 16), 100.0  # of each file
PAUSE_S = 0.004
FORMATS = ("big", "patched", "classic")
VERSION_4 = "scanimage.SI4.channelsSave = 1\nscanimage.SI4.scanFrameRate = 100\n"


def make_frames(first: int, n: int = N_FRAMES) -> np.ndarray:
    values = np.arange(first, first + n, dtype="<i2")
    return np.broadcast_to(values[:, None, None], (n, *SHAPE))


def build_big(path: Path, first: int) -> tuple[bytes, list[int]]:
    """Return the bytes of a file, and the offsets of its pages."""
    stamps = [(n, n / RATE_HZ) for n in range(first, first + N_FRAMES)]
    settings = {"SI.hRoiManager.scanFrameRate": "100"}
    write_scanimage(path, make_frames(first), stamps, settings)
    content = path.read_bytes()
    path.unlink()
    starts, link = [], 8
    while start := struct.unpack_from("<Q", content, link)[0]:
        starts.append(start)
        link = start + 8 + 20 * struct.unpack_from("<Q", content, start)[0]
    return content, starts


def build_classic(path: Path, first: int) -> tuple[bytes, list[int]]:
    content, starts = bytearray(b"II" + struct.pack("<HI", 42, 8)), []
    for n, page in enumerate(make_frames(first), first):
        text = f"Frame Number = {n}\nFrame Timestamp(s) = {n / RATE_HZ}\n{VERSION_4}\0"
        starts.append(len(content))
        n_tags = 9
        text_at = len(content) + 2 + 12 * n_tags + 4
        data_at = text_at + len(text)
        entries = [
            (256, 4, 1, SHAPE[1]),
            (257, 4, 1, SHAPE[0]),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (270, 2, len(text), text_at),
            (273, 4, 1, data_at),
            (279, 4, 1, page.nbytes),
            (339, 3, 1, 2),
        ]
        content += struct.pack("<H", n_tags)
        content += b"".join(struct.pack("<HHII", *entry) for entry in entries)
        is_last = n == first + N_FRAMES - 1
        content += struct.pack("<I", 0 if is_last else data_at + page.nbytes)
        content += text.encode() + page.tobytes()
    return bytes(content), starts


def write_slowly(
    path: Path, content: bytes, starts: list[int], is_patched: bool
) -> None:
    """Write the file in pieces; is_patched: write the link to a page after the page."""
    is_big = content[2] == 43
    links = [8 if is_big else 4]
    for start in starts[:-1]:
        n_tags = struct.unpack_from("<Q" if is_big else "<H", content, start)[0]
        links.append(start + (8 + 20 * n_tags if is_big else 2 + 12 * n_tags))
    written = bytearray(content)
    width = 8 if is_big else 4
    if is_patched:
        for link in links:
            written[link : link + width] = bytes(width)
    ends = [*starts[1:], len(content)]
    with path.open("wb", buffering=0) as file:
        file.write(written[: starts[0]])
        for start, end, link in zip(starts, ends, links, strict=True):
            for a, b in ((0, 0.1), (0.1, 0.6), (0.6, 1)):
                size = end - start
                file.seek(0, 2)
                file.write(written[start + int(a * size) : start + int(b * size)])
                time.sleep(PAUSE_S)
            if is_patched:
                file.seek(link)
                file.write(content[link : link + width])


def main(file_format: str, folder: str, *names: str) -> None:
    for k, name in enumerate(names):
        path = Path(folder) / name
        build = build_classic if file_format == "classic" else build_big
        content, starts = build(path.with_suffix(".whole"), 1 + k * N_FRAMES)
        write_slowly(path, content, starts, is_patched=file_format != "big")


if __name__ == "__main__":
    main(*sys.argv[1:])
