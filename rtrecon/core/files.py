"""Atomic file writes: readers see the old file or the complete new one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_MAX_REPLACE_ATTEMPTS = 6
_REPLACE_RETRY_DELAY_S = 0.05


@contextmanager
def open_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move that file to `path` at the end.

    Write the temporary file inside the `with` block. If the block raises, the temporary
    file is deleted and an existing file at `path` stays as it was. The temporary path
    has the suffix of `path`, for libraries that choose a format by it.

        with open_atomically(Path("movie.npy")) as temporary:
            np.save(temporary, movie)
    """
    temporary = temporary_path(path)
    try:
        yield temporary
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


def temporary_path(path: Path) -> Path:
    """Return where a file is written before it is moved to `path`."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _replace(temporary: Path, path: Path) -> None:
    for _ in range(_MAX_REPLACE_ATTEMPTS - 1):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            # On Windows a file that another program is reading cannot be replaced.
            time.sleep(_REPLACE_RETRY_DELAY_S)
    temporary.replace(path)
