"""The values that rules read: one number from each message of a topic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from rtrecon.closed_loop.clip_similarity import ClipMatcher
from rtrecon.closed_loop.condition import ClipSimilarity, FieldPath, GroupActivity
from rtrecon.closed_loop.message_fields import MessageField
from rtrecon.config import ClosedLoopSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.sources.stimulus_file import read_stimulus_file
from rtrecon.stimulus_space.space import StimulusSpace

# The clip is compared with every movie message, in the time between two frames.
MAX_CLIP_FRAMES = 300

_Value = TypeVar("_Value")


class Reading(Protocol):
    """One number from each message of one topic."""

    topic: str

    def read(self, message: messages.PublishedMessage, payload: Array) -> float | None:
        """Return the number, NaN if it is unknown, None if the message has none."""


class ActivityReading:
    """Mean or sum of the activity of some neurons; lost values do not count.

    ids: the neurons, None = all.
    """

    topic = "activity"

    def __init__(
        self, total: Literal["mean", "sum"], ids: Sequence[int] | None
    ) -> None:
        self.ids = ids
        self._combine = np.mean if total == "mean" else np.sum
        self._rows: Array | slice = slice(None)

    def find_neurons(self, session_ids: Sequence[int]) -> list[int]:
        """Find the rows of the neurons in a session; return the ids that are missing.

        session_ids: ids of the session's neurons in the order of the activity. If an
        id is missing, the value is unknown in this session.
        """
        if self.ids is None:
            return []
        row_of = {neuron: row for row, neuron in enumerate(session_ids)}
        missing = [neuron for neuron in self.ids if neuron not in row_of]
        rows = [] if missing else [row_of[neuron] for neuron in self.ids]
        self._rows = np.array(rows, np.intp)
        return missing

    def read(self, message: messages.PublishedMessage, payload: Array) -> float | None:
        """Return the mean or sum; None for a frame that was queued for a reference."""
        if not isinstance(message, messages.Activity) or message.is_backlog:
            return None
        values = payload[self._rows]
        values = values[~np.isnan(values)]
        return float(self._combine(values)) if len(values) else np.nan


class SimilarityReading:
    """Similarity of the live movie to a clip."""

    topic = "movie"

    def __init__(self, clip: Array) -> None:
        self._matcher = ClipMatcher(clip)

    def read(self, message: messages.PublishedMessage, payload: Array) -> float | None:
        """Return the similarity of the newest window."""
        return self._matcher.best_correlation(payload)


def make_reading(
    value: FieldPath | GroupActivity | ClipSimilarity,
    settings: ClosedLoopSettings,
    space: StimulusSpace,
) -> Reading:
    """Return the reading of a condition's value; raises `UserError` for a mistake.

    space: of the stimuli that clips are compared with.
    """
    if isinstance(value, FieldPath):
        return MessageField(value)
    if isinstance(value, ClipSimilarity):
        path = _look_up(value.target, settings.targets, "targets")
        return SimilarityReading(_read_clip(Path(path), space))
    ids: Sequence[int] | None
    if isinstance(value.ids, str):
        ids = _look_up(value.ids, settings.groups, "groups")
    else:
        ids = value.ids
    return ActivityReading(value.total, ids)


def _look_up(name: str, table: dict[str, _Value], table_name: str) -> _Value:
    if name not in table:
        names = ", ".join(table) or "none"
        raise UserError(
            f"'{name}' is not in [closed_loop.{table_name}]; known: {names}"
        )
    return table[name]


def _read_clip(path: Path, space: StimulusSpace) -> Array:
    """Read a clip as the encoder sees it: uint8 (n, height, width), n >= 1."""
    clip = read_stimulus_file(path, space)
    if len(clip) > MAX_CLIP_FRAMES:
        raise UserError(
            f"{path} has {len(clip)} frames; a clip to compare with has at most "
            f"{MAX_CLIP_FRAMES}: cut out the part that matters"
        )
    if np.ptp(clip) == 0:
        raise UserError(
            f"{path} has the same {space.quantity} everywhere; nothing is similar to it"
        )
    return clip
