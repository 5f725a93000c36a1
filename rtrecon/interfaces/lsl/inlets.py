"""LSL streams to the daemon: found by name, with times on this computer's clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rtrecon.config import LslSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.interfaces.lsl import import_pylsl
from rtrecon.protocol import messages
from rtrecon.sources.video import read_clip

SendMessage = Callable[..., object]  # `AuxiliarySender.send`
AddNote = Callable[[str], None]
_SampleHandler = Callable[[str, list[Any], float], None]  # stream, sample, time in s


class LslStream:
    """One stream, searched for by its name until it exists, and again when it is lost.

    LSL measures the offset of the sender's clock and subtracts it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lsl = import_pylsl()
        self._resolver = self._lsl.ContinuousResolver("name", name)
        self._inlet: Any = None

    def pull_samples(self) -> Iterator[tuple[list[Any], float]]:
        """Yield the samples that have arrived: channel values and wall clock in s."""
        if self._inlet is None:
            streams = self._resolver.results()
            if not streams:
                return
            flags = self._lsl.proc_clocksync
            self._inlet = self._lsl.StreamInlet(streams[0], processing_flags=flags)
        try:
            samples, times_s = self._inlet.pull_chunk(timeout=0.0)
        except self._lsl.LostError:
            self._inlet = None
            return
        wall_clock_offset_s = time.time() - self._lsl.local_clock()
        for sample, time_s in zip(samples, times_s, strict=True):
            yield sample, time_s + wall_clock_offset_s


class LslInlets:
    """All streams that the settings name; each sample becomes a message."""

    def __init__(
        self, settings: LslSettings, send_message: SendMessage, add_note: AddNote
    ) -> None:
        self._settings = settings
        self._send_message, self._add_note = send_message, add_note
        self._clips = VideoClips(settings.clips)
        handlers: dict[str, _SampleHandler] = {}
        handlers |= dict.fromkeys(settings.behavior, self._send_behavior)
        handlers |= dict.fromkeys(settings.edges, self._send_edge)
        handlers |= dict.fromkeys(settings.notes, self._send_note)
        handlers |= dict.fromkeys(settings.stimulus, self._send_stimulus)
        self._streams = [
            (LslStream(name), handler) for name, handler in handlers.items()
        ]

    def forward_samples(self) -> None:
        """Send all samples that have arrived."""
        for stream, handler in self._streams:
            for sample, t_send in stream.pull_samples():
                handler(stream.name, sample, t_send)

    def _send_behavior(self, stream: str, sample: list[Any], t_send: float) -> None:
        values = {
            name: float(sample[channel])
            for name, channel in self._settings.behavior[stream].items()
            if channel < len(sample) and math.isfinite(float(sample[channel]))
        }
        if values:
            self._send_message(messages.BehaviorSample, t_send=t_send, **values)

    def _send_edge(self, stream: str, sample: list[Any], t_send: float) -> None:
        line = self._settings.edges[stream]
        try:
            value = int(float(sample[0]))
        except (ValueError, OverflowError):
            return  # a marker that is not a number
        self._send_message(messages.SyncEdge, t_send=t_send, line=line, value=value)

    def _send_note(self, stream: str, sample: list[Any], t_send: float) -> None:
        self._add_note(f"{stream}: {sample[0]}")

    def _send_stimulus(self, stream: str, sample: list[Any], t_send: float) -> None:
        clip, _, number = str(sample[0]).rpartition(" ")
        image = self._clips.read_image(clip, number)
        if image is not None:
            self._send_message(
                messages.StimulusFrame,
                image,
                t_send=t_send,
                clip=clip,
                index=int(number),
                shape=(image.shape[0], image.shape[1]),
            )


class VideoClips:
    """The video files of a folder, for markers that name a file and an image."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise UserError(f"lsl.clips = {folder} is no folder of video files")
        files = sorted(folder.iterdir()) if folder else []
        self._files = {file.stem: file for file in files if file.is_file()}
        self._loaded: dict[str, Array] = {}

    def read_image(self, clip: str, number: str) -> Array | None:
        """Return an image, uint8 (height, width); None if it does not exist."""
        if clip not in self._files or not number.isdecimal():
            return None
        if clip not in self._loaded:
            self._loaded[clip] = read_clip(self._files[clip])
        images = self._loaded[clip]
        return images[int(number)] if int(number) < len(images) else None
