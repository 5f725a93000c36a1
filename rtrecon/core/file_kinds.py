"""Recognizes files that are no checkpoints at all: empty ones, texts, Git pointers."""

from __future__ import annotations

from pathlib import Path

_N_BYTES_READ = 200
_N_SHOWN_CHARACTERS = 40
_POINTER_START = "version https://git-lfs"


def describe_foreign_file(path: Path) -> str | None:
    """Return what a file without weights is, and what to do; None for a binary file.

    The text continues a sentence that names the file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_N_BYTES_READ)
    except OSError as error:
        return f"cannot be read: {error}"
    if not start:
        return "is empty (0 bytes); download or copy it again"
    text = _decode_text(start)
    if text is None:
        return None
    if text.startswith(_POINTER_START):
        return (
            "is a pointer of Git LFS, not the file itself; get the file with `git lfs "
            "pull`"
        )
    first_line = text.strip().partition("\n")[0][:_N_SHOWN_CHARACTERS]
    return (
        f"is a text that begins with '{first_line}', not weights; download it again, "
        "or give another file"
    )


def _decode_text(start: bytes) -> str | None:
    """Return the beginning of a file as text; None if it is binary."""
    try:
        text = start.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c.isspace() for c in text) else None
