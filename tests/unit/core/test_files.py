"""Atomic file writes."""

from __future__ import annotations

import pytest

from rtrecon.core.files import open_atomically, write_atomically


@pytest.mark.parametrize("data", [b"new\n\x00", "new, é"])
def test_bytes_and_text_replace_an_older_file(tmp_path, data):
    path = tmp_path / "file.txt"
    path.write_text("old")
    write_atomically(path, data)
    expected = data if isinstance(data, bytes) else data.encode()
    assert path.read_bytes() == expected
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_and_disappears(tmp_path):
    path = tmp_path / "movie.npy"
    with open_atomically(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.suffix == ".npy"
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(TypeError), open_atomically(path) as temporary:
        temporary.write_text(b"no text")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
