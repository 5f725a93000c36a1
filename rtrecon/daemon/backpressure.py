"""Runs that repeat: where nothing may be skipped, frames wait until they are needed.

A front never waits, and an inverter passes over what it is too late for; so two runs of
the same session differ. With `invert.deterministic` frames stay at the door instead,
while a reference is made of the first and while the inverter has a window to do.
"""

from __future__ import annotations

from rtrecon.config import InvertSettings
from rtrecon.daemon.pipeline import Pipeline


class Backpressure:
    """Tells whether the front should hold; remembers how far the inverter has come."""

    def __init__(self, settings: InvertSettings, has_inverter: bool) -> None:
        self._settings = settings
        self._has_inverter = has_inverter
        self._told: int | None = None

    def begin(self) -> None:
        """Begin a session."""
        self._told = None

    def told(self, index: int) -> None:
        """Note that the movie up to this encoder frame has come."""
        self._told = index

    def give_up(self) -> None:
        """Note that no movie will come any more."""
        self._has_inverter = False

    def holds(self, pipeline: Pipeline | None) -> bool:
        """Tell whether no further frame should be taken for now."""
        if pipeline is None or not self._settings.deterministic:
            return False
        return pipeline.making or (self._has_inverter and self._is_ahead(pipeline))

    def _is_ahead(self, pipeline: Pipeline) -> bool:
        if pipeline.sent is None:
            return False
        first, newest = pipeline.sent
        told = first - 1 if self._told is None else self._told
        return newest - told >= self._settings.window_frames
