"""What rules look at: a number for each message of a topic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from rtrecon.closed_loop import condition
from rtrecon.closed_loop.clip_similarity import Target
from rtrecon.closed_loop.message_fields import Field
from rtrecon.config import ReactSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.imaging.timing.aligner import to_encoder_frame
from rtrecon.protocol import messages
from rtrecon.sources.npy import read_numbers

# A clip to look for is compared with every movie update, between two frames.
_MAX_CLIP_FRAMES = 300

_Named = TypeVar("_Named")


class Reading(Protocol):
    """A number read from each message of one topic."""

    topic: str

    def read(self, message: messages.Published, payload: Array) -> float | None:
        """Return the number, NaN if it is not known; None: this says nothing of it."""


class Activity:
    """The mean or sum over neurons of those whose activity is known."""

    topic = "activity"

    def __init__(
        self, total: Literal["mean", "sum"], ids: Sequence[int] | None
    ) -> None:
        self.ids = ids  # None: all
        self._total = np.mean if total == "mean" else np.sum
        self._rows: Array | slice = slice(None)

    def find(self, known: Sequence[int]) -> list[int]:
        """Learn the order of a session's neurons; return which are missing in it.

        With some missing, nothing is known of the group in this session.
        """
        if self.ids is None:
            return []
        place = {neuron: row for row, neuron in enumerate(known)}
        missing = [neuron for neuron in self.ids if neuron not in place]
        rows = [] if missing else [place[neuron] for neuron in self.ids]
        self._rows = np.array(rows, np.intp)
        return missing

    def read(self, message: messages.Published, payload: Array) -> float | None:
        """Return it; None of a frame that came long ago and had to wait."""
        if not isinstance(message, messages.Activity) or message.late:
            return None
        values = payload[self._rows]
        values = values[~np.isnan(values)]
        return float(self._total(values)) if len(values) else np.nan


class Similarity:
    """The live movie's likeness to a clip."""

    topic = "movie"

    def __init__(self, clip: Array) -> None:
        self._target = Target(clip)

    def read(self, message: messages.Published, payload: Array) -> float | None:
        """Return the likeness of the newest window."""
        return self._target.likeness(payload)


def reading_of(
    value: condition.Path | condition.Group | condition.Similarity,
    settings: ReactSettings,
) -> Reading:
    """Return what reads a value; raises `UserError` where there is no such thing."""
    if isinstance(value, condition.Path):
        return Field(value)
    if isinstance(value, condition.Similarity):
        path = _named(value.target, settings.targets, "targets")
        return Similarity(_clip(Path(path)))
    ids: Sequence[int] | None
    if isinstance(value.ids, str):
        ids = _named(value.ids, settings.groups, "groups")
    else:
        ids = value.ids
    return Activity(value.total, ids)


def _named(name: str, known: dict[str, _Named], table: str) -> _Named:
    if name not in known:
        names = ", ".join(known) or "none so far"
        raise UserError(f"'{name}' is not in [react.{table}]; known: {names}")
    return known[name]


def _clip(path: Path) -> Array:
    """Read a clip as the encoder sees it: uint8 (n, 36, 64), one image or more."""
    if path.suffix == ".npy":
        images = read_numbers(path)
        if images.dtype != np.uint8 or images.ndim != 3 or not images.size:
            raise UserError(
                f"{path} holds {images.dtype} of shape {list(images.shape)}; a clip is "
                "uint8 (n, height, width)"
            )
        clip = np.stack([to_encoder_frame(image) for image in images])
    else:
        from rtrecon.sources.video import read_clip  # slow to import

        clip = read_clip(path)
    if len(clip) > _MAX_CLIP_FRAMES:
        raise UserError(
            f"{path} has {len(clip)} frames; a clip to look for has at most "
            f"{_MAX_CLIP_FRAMES}: cut out the part that matters"
        )
    if np.ptp(clip) == 0:
        raise UserError(f"{path} shows one grey throughout; nothing is like that")
    return clip
