"""Lets frames wait where a run must be repeatable.

Normally the daemon never waits, and the inverter skips what it is too late for, so two
runs of the same session differ. With `inversion.deterministic`, frames wait while a
reference is built and while the inverter has a whole window to do.
"""

from __future__ import annotations

from rtrecon.config import InversionSettings


class Backpressure:
    """Decides whether frames should wait; knows how far the inverter is."""

    def __init__(self, settings: InversionSettings, has_inverter: bool) -> None:
        self._settings = settings
        self._has_inverter = has_inverter
        self._movie_frame: int | None = None  # newest encoder frame with a movie

    def begin_session(self) -> None:
        """Begin a session."""
        self._movie_frame = None

    def movie_received(self, encoder_frame: int) -> None:
        """Learn that the movie up to this encoder frame is there."""
        self._movie_frame = encoder_frame

    def remove_inverter(self) -> None:
        """Learn that there will be no further movie."""
        self._has_inverter = False

    def should_wait(
        self, is_building_reference: bool, sent_range: tuple[int, int] | None
    ) -> bool:
        """Return whether the daemon should take no further frame for now.

        sent_range: first and newest encoder frame whose activity was sent, if any.
        """
        if not self._settings.deterministic:
            return False
        return is_building_reference or self._is_inverter_behind(sent_range)

    def _is_inverter_behind(self, sent_range: tuple[int, int] | None) -> bool:
        if not self._has_inverter or sent_range is None:
            return False
        first, newest = sent_range
        reached = first - 1 if self._movie_frame is None else self._movie_frame
        return newest - reached >= self._settings.window_frames
