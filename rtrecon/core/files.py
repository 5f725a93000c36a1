"""Atomic file writes, and text files as any editor saves them.

After an atomic write, readers see the old file or the complete new one.
"""

from __future__ import annotations

import codecs
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rtrecon.core.operating_system import has_permission_bits, is_replace_blocked

# By the first bytes of a file: its encoding. Windows editors write these marks.
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark begins alike
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MAX_REPLACE_ATTEMPTS = 6
_REPLACE_RETRY_DELAY_S = 0.05
_PRIVATE_MODE = 0o600  # of files that some libraries write
_MAX_TEXT_BYTES = 64_000_000


@contextmanager
def open_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move that file to `path` at the end.

    Write the temporary file inside the `with` block. If the block raises, the temporary
    file is deleted and an existing file at `path` stays as it was. The temporary path
    has the suffix of `path`, for libraries that choose a format by it. The file gets
    the permissions of any new file of the user, also if a library made it private.

        with open_atomically(Path("movie.npy")) as temporary:
            np.save(temporary, movie)
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        _apply_umask(temporary)
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_atomically(path: Path, data: Any) -> None:
    """Write bytes to `path`, or text as UTF-8."""
    with open_atomically(path) as temporary:
        if isinstance(data, str):
            temporary.write_text(data, encoding="utf-8")
        else:
            temporary.write_bytes(data)


def read_text(path: Path) -> str:
    """Read a text file that a person wrote, with any kind of line ends.

    UTF-8, or UTF-16 and UTF-32 with a byte-order mark. Raises OSError, also for pipes
    and devices, which may never end, and for files that are too large for text that a
    person wrote. Raises UnicodeDecodeError for another encoding.
    """
    status = path.stat()
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
        raise OSError("it is a pipe or a device; save the text in a file")
    if status.st_size > _MAX_TEXT_BYTES:
        raise OSError(
            f"it has {status.st_size / 1e6:.0f} MB, more than the "
            f"{_MAX_TEXT_BYTES / 1e6:.0f} MB that are read; is it another file?"
        )
    data = path.read_bytes()
    encodings = (name for mark, name in _ENCODINGS.items() if data.startswith(mark))
    text = data.decode(next(encodings, "utf-8"))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def temporary_path(path: Path) -> Path:
    """Return where a file is written before it is moved to `path`."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _apply_umask(path: Path) -> None:
    """Give a private file the permissions that the user's umask gives to new files."""
    if not has_permission_bits() or stat.S_IMODE(path.stat().st_mode) != _PRIVATE_MODE:
        return
    # The umask itself cannot be read without changing it for all threads.
    probe = path.with_name(f"{path.name}.mode")
    probe.touch()
    try:
        path.chmod(stat.S_IMODE(probe.stat().st_mode))
    finally:
        probe.unlink()


def _replace(temporary: Path, path: Path) -> None:
    for _ in range(_MAX_REPLACE_ATTEMPTS - 1):
        try:
            temporary.replace(path)
            return
        except OSError as error:
            if not is_replace_blocked(error):
                raise
            time.sleep(_REPLACE_RETRY_DELAY_S)
    temporary.replace(path)
