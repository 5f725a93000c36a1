"""Streams of LSL in: found by name whenever they are there, on our own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rtrecon.config import LabStreamSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.interfaces.lsl import library
from rtrecon.protocol import messages
from rtrecon.sources.video import read_clip

Send = Callable[..., object]  # of `Aside`
Note = Callable[[str], None]


class Stream:
    """One stream, looked for by its name until it is there, and again when it is lost.

    LSL measures by how much the sender's clock differs from ours, and takes it off.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lsl = library()
        self._resolver = self._lsl.ContinuousResolver("name", name)
        self._inlet: Any = None

    def samples(self) -> Iterator[tuple[list[Any], float]]:
        """Yield what has come: a sample's channels, and the wall clock when it was."""
        if self._inlet is None:
            found = self._resolver.results()
            if not found:
                return
            corrected = self._lsl.proc_clocksync
            self._inlet = self._lsl.StreamInlet(found[0], processing_flags=corrected)
        try:
            samples, times_s = self._inlet.pull_chunk(timeout=0.0)
        except self._lsl.LostError:
            self._inlet = None
            return
        later_s = time.time() - self._lsl.local_clock()
        for sample, time_s in zip(samples, times_s, strict=True):
            yield sample, time_s + later_s


class Inlets:
    """All streams that the settings name, and what becomes of their samples."""

    def __init__(self, settings: LabStreamSettings, send: Send, note: Note) -> None:
        self._settings, self._send, self._note = settings, send, note
        self._clips = Clips(settings.clips)
        takers: dict[str, Callable[[str, list[Any], float], None]] = {}
        takers |= dict.fromkeys(settings.behavior, self._behavior)
        takers |= dict.fromkeys(settings.edges, self._edge)
        takers |= dict.fromkeys(settings.notes, self._noted)
        takers |= dict.fromkeys(settings.stimulus, self._stimulus)
        self._streams = [(Stream(name), take) for name, take in takers.items()]

    def pass_on(self) -> None:
        """Pass on all that has come."""
        for stream, take in self._streams:
            for sample, t_send in stream.samples():
                take(stream.name, sample, t_send)

    def _behavior(self, name: str, sample: list[Any], t_send: float) -> None:
        fields = {
            field: float(sample[channel])
            for field, channel in self._settings.behavior[name].items()
            if channel < len(sample) and abs(float(sample[channel])) < float("inf")
        }
        if fields:
            self._send(messages.Behavior, t_send=t_send, **fields)

    def _edge(self, name: str, sample: list[Any], t_send: float) -> None:
        line = self._settings.edges[name]
        try:
            value = int(float(sample[0]))
        except (ValueError, OverflowError):
            return  # a word between the numbers
        self._send(messages.Sync, t_send=t_send, line=line, value=value)

    def _noted(self, name: str, sample: list[Any], t_send: float) -> None:
        self._note(f"{name}: {sample[0]}")

    def _stimulus(self, name: str, sample: list[Any], t_send: float) -> None:
        clip, _, number = str(sample[0]).rpartition(" ")
        image = self._clips.image(clip, number)
        if image is not None:
            shape = image.shape[0], image.shape[1]
            self._send(
                messages.Stimulus,
                image,
                t_send=t_send,
                clip=clip,
                index=int(number),
                shape=shape,
            )


class Clips:
    """Video files of a folder by their name, for markers that only name an image."""

    def __init__(self, folder: str | None) -> None:
        if folder is not None and not Path(folder).is_dir():
            raise UserError(f"lsl.clips = {folder} is no folder of video files")
        files = sorted(Path(folder).iterdir()) if folder else []
        self._files = {file.stem: file for file in files if file.is_file()}
        self._read: dict[str, Array] = {}

    def image(self, clip: str, number: str) -> Array | None:
        """Return an image, uint8 (height, width); None where there is no such one."""
        if clip not in self._files or not number.isdecimal():
            return None
        if clip not in self._read:
            self._read[clip] = read_clip(self._files[clip])
        images = self._read[clip]
        return images[int(number)] if int(number) < len(images) else None
