"""Writes when each picture appeared, as a table of comma-separated values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rtrecon.presenter import PresenterError
from rtrecon.presenter.presentation import ScreenPicture

_HEADER = "time_s,clip,index,patch\n"


class FlipLog:
    """A file with one line per picture: time in s since 1970, clip, index, patch.

    Each line is written at once, so that no crash loses it. path: None writes nothing.
    failure: why writing ended early, as on a full disk, or "". Raises PresenterError if
    the file exists or cannot be written: times of an experiment are not overwritten.
    """

    def __init__(self, path: Path | None) -> None:
        self.failure = ""
        self._file: TextIO | None = None
        if path is None:
            return
        try:
            self._file = path.open("x", 1, encoding="utf-8", newline="\n")
        except OSError as error:
            raise PresenterError(
                f"the table of times {path} cannot be written: {error}; choose "
                "another --log"
            ) from None
        self._file.write(_HEADER)

    def add_picture(self, shown: ScreenPicture, shown_s: float) -> None:
        """Add a picture that appeared at `shown_s` by time.time()."""
        if self._file is None or self.failure:
            return
        name = shown.clip.name.replace('"', '""')
        patch = int(shown.is_patch_bright)
        try:
            self._file.write(f'{shown_s:.6f},"{name}",{shown.index},{patch}\n')
        except OSError as error:
            self.failure = (
                f"the table of times ends after picture {shown.index} of "
                f"'{shown.clip.name}': {error}"
            )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # reported in `failure`
                self._file.close()
