"""Atomic file writes."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rtrecon.core.files import open_atomically, read_text, write_atomically


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_files_get_the_permissions_of_the_users_umask(tmp_path, umask, mode):
    path = tmp_path / "encoder.safetensors"
    old_umask = os.umask(umask)
    try:
        write_atomically(tmp_path / "text", "text")
        with open_atomically(path) as temporary:
            save_file({"weights": np.zeros(2)}, temporary)  # makes it private
    finally:
        os.umask(old_umask)
    for file in (path, tmp_path / "text"):
        assert stat.S_IMODE(file.stat().st_mode) == mode
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "text"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    pipe = tmp_path / "settings.toml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="is a pipe or a device"):
            read_text(path)


def test_a_file_too_large_for_text_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("rtrecon.core.files._MAX_TEXT_BYTES", 10)
    path = tmp_path / "movie.toml"
    path.write_bytes(b"12345678901")
    with pytest.raises(OSError, match="is it another file"):
        read_text(path)
    path.write_bytes(b"1234567890")
    assert read_text(path) == "1234567890"
