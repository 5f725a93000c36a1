"""A list of regions may be saved by any editor: byte-order mark, UTF-16, CRLF."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.regions import load_regions

TEXT = '[\n{"coordinates": [[3, 4], [3, 5]]}\n]'
SHAPE = (8, 8)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "regions.json"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_regions_are_read_in_every_unicode_encoding(tmp_path, encoding, line_end):
    content = TEXT.replace("\n", line_end).encode(encoding)
    rois = load_regions(write(tmp_path, content), SHAPE)
    assert (rois.rows.tolist(), rois.cols.tolist()) == ([3, 3], [4, 5])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[\xe9]", b"\x00" * 40])
def test_other_bytes_are_refused_with_a_sentence(tmp_path, content):
    with pytest.raises(UserError, match=r"regions\.json is not a list of regions"):
        load_regions(write(tmp_path, content), SHAPE)
