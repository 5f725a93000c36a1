"""What every source of frames looks like, whatever it reads them from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array


class RecordingError(UserError):
    """A recording that cannot be replayed; its text says which and why."""


@dataclass(frozen=True)
class RecordedFrame:
    """One image: number and time in s as recorded, pixels (lines, pixels).

    Of several planes, the number is that of the volume. plane counts from 0, channel
    from 1, as on the wire. roi: which scan field, where there are several.
    """

    number: int
    t_s: float
    pixels: Array
    plane: int = 0
    channel: int = 1
    roi: str | None = None


class Recording(Protocol):
    """Frames from a file, a camera or a socket; a context manager.

    name: for people. shape: (lines, pixels). dtype: int16 or uint16, native. rate_hz:
    of volumes, where there are several planes. channels: those that frames come of,
    from 1. planes: depths in um. n_frames: how many `frames` will yield, None where
    nobody knows. notice: a sentence if something is amiss, else empty. Memory does not
    grow with the recording.
    """

    name: str
    shape: tuple[int, int]
    dtype: Any
    rate_hz: float
    channels: tuple[int, ...] = (1,)
    planes: tuple[float, ...] = (0.0,)
    n_frames: int | None = None
    notice: str = ""

    @abstractmethod
    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order: all planes of a volume, all channels of a plane.

        Pixels are C-contiguous. Raises `RecordingError` where one cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; frames cannot be read any more. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Hints:
    """What a file may not say of itself, and what is chosen of what it holds.

    channel: from 1; none = all. rate_hz: overrides the file's. shape: (lines, pixels).
    field: name of a scan field; none = the first. Not every kind of file needs, or
    allows, each of them.
    """

    channel: int | None = None
    rate_hz: float | None = None
    shape: tuple[int, int] | None = None
    field: str | None = None

    def known_rate_hz(self, said_hz: float | None) -> float:
        """Return the rate that was given, else the file's; an error without either."""
        rate_hz = said_hz if self.rate_hz is None else self.rate_hz
        if rate_hz is None:
            raise RecordingError(
                "it does not say how many frames there are in a second; give --rate-hz"
            )
        if not 0 < rate_hz < float("inf"):
            raise RecordingError(f"a rate of {rate_hz:g} Hz is none; give --rate-hz")
        return rate_hz

    def chosen(self, saved: tuple[int, ...]) -> tuple[int, ...]:
        """Return which of the saved channels are to be read."""
        if self.channel is None:
            return saved
        if self.channel not in saved:
            known = ", ".join(map(str, saved))
            raise RecordingError(
                f"channel {self.channel} was not saved; choose from {known}"
            )
        return (self.channel,)
