"""What every source of frames has in common: `Recording` and `RecordedFrame`."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from rtrecon.core.errors import UserError

if (
    TYPE_CHECKING
):  # numpy takes 0.1 s to import, which `rtrecon --help` need not wait for
    from rtrecon.core.types import Array


class RecordingError(UserError):
    """A recording cannot be read; the text names it and gives the reason."""


@dataclass(frozen=True)
class RecordedFrame:
    """One microscope frame as it was recorded.

    number: of the frame, or of the volume if there are several planes. t_s: time in s.
    pixels: (lines, pixels). plane: from 0. channel: from 1. scan_field: name of the
    scan field, if the recording has several.
    """

    number: int
    t_s: float
    pixels: Array
    plane: int = 0
    channel: int = 1
    scan_field: str | None = None


class Recording(Protocol):
    """Frames from a file, a camera or a socket; a context manager.

    name: for messages to the user. shape: (lines, pixels). dtype: int16 or uint16,
    native byte order. rate_hz: of frames, or of volumes if there are several planes;
    NaN if unknown (see `RecordingHints.is_rate_required`). channels: those that
    `frames` yields, from 1. planes: depths in um. n_frames: how many frames `frames`
    yields; None if unknown. um_per_px: size of a pixel; None if unknown. meta: any
    other facts, for the start message. notice: a sentence for the user if something is
    wrong, else empty.

    Frames are read one after the other: memory use does not grow with the recording.
    """

    name: str
    shape: tuple[int, int]
    dtype: Any
    rate_hz: float
    channels: tuple[int, ...] = (1,)
    planes: tuple[float, ...] = (0.0,)
    n_frames: int | None = None
    um_per_px: float | None = None
    meta: Mapping[str, Any] = MappingProxyType({})
    notice: str = ""

    @abstractmethod
    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order: all planes of a volume, all channels of a plane.

        Pixels are C-contiguous. Raises `RecordingError` if a frame cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file; frames cannot be read afterwards. Can be called again."""

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
class RecordingHints:
    """What a file may not store about itself, and which part of it to read.

    channel: read this channel only, from 1; None = all. rate_hz: replaces the rate in
    the file. shape: (lines, pixels), for files of bare pixels. field: name of the scan
    field to read; None = the first. dataset: path of the dataset in an HDF5 file. axes:
    of that dataset, such as "yxt". n_channels, n_planes: how many alternate in a TIFF
    file, whatever it describes: channels of a plane first, then planes of a volume.
    um_per_px: replaces the size of a pixel in the file. position: stage position to
    read, as the names of the files count them; None = the first.
    is_rate_required: if False, a file without a rate opens with the rate NaN, and the
    times of its frames are NaN. A format ignores hints that it has no use for.
    """

    channel: int | None = None
    rate_hz: float | None = None
    shape: tuple[int, int] | None = None
    field: str | None = None
    dataset: str = ""
    is_rate_required: bool = True
    axes: str = ""
    n_channels: int | None = None
    n_planes: int | None = None
    um_per_px: float | None = None
    position: int | None = None

    def resolve_rate_hz(self, stored_rate_hz: float | None) -> float:
        """Return the rate of the hints, else the one stored in the file.

        Raises `RecordingError` if neither exists but a rate is required.
        """
        rate_hz = stored_rate_hz if self.rate_hz is None else self.rate_hz
        if rate_hz is None and not self.is_rate_required:
            return math.nan
        if rate_hz is None:
            raise RecordingError("it does not store its frame rate; give --rate-hz")
        if not 0 < rate_hz < math.inf:
            raise RecordingError(
                f"a rate of {rate_hz:g} Hz is impossible; give --rate-hz"
            )
        return rate_hz

    def select_channels(self, saved_channels: tuple[int, ...]) -> tuple[int, ...]:
        """Return the channels to read; `RecordingError` if one was not saved."""
        if self.channel is None:
            return saved_channels
        if self.channel not in saved_channels:
            choices = ", ".join(map(str, saved_channels))
            raise RecordingError(
                f"channel {self.channel} was not saved; choose from {choices}"
            )
        return (self.channel,)
