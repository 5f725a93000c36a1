"""Traces a whole film of a dish and collects its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from rtrecon.analysis.dish.film import DishFilm
from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.registration.film_registrar import FilmRegistrar

# Called with each traced picture: the registered image, and what it shows.
FrameCallback = Callable[[Array, DishFrame], None]
MAX_MONTAGE_EVENTS = 12
_CROP_PX = 48  # on each side of an event


@dataclass
class TracedFilm:
    """The tables of a film.

    frames: without their images of owners. snapshots: event index -> the registered
    picture around it. last: the last traced frame, whole. notices: each once.
    """

    name: str
    settings: DishSettings
    frames: list[DishFrame] = field(default_factory=list)
    snapshots: dict[int, Array] = field(default_factory=dict)
    last: DishFrame | None = None
    notices: list[str] = field(default_factory=list)

    @property
    def n_events(self) -> int:
        """Return how many events the frames hold."""
        return sum(len(frame.events) for frame in self.frames)


def trace_film(
    film: DishFilm,
    settings: DishSettings,
    on_frame: FrameCallback,
    on_progress: ProgressCallback,
) -> TracedFilm:
    """Register and trace all pictures of a film; UserError where none can be traced."""
    traced = TracedFilm(film.name, settings, notices=list(film.notices))
    registrar, tracker = FilmRegistrar(), DishTracker(settings)
    for number, (t_s, image) in enumerate(film.read()):
        picture = registrar.register(image)
        checked = image if image.min() == image.max() else picture.image
        frame = tracker.process_frame(checked, picture.is_valid, t_s)
        on_frame(picture.image, frame)
        add_picture(traced, frame, picture.image)
        done = (number + 1) / film.n_frames if film.n_frames else 0.0
        on_progress("trace", min(done, 1.0), f"picture {number + 1}")
    if traced.last is None:
        raise UserError(_explain_nothing_traced(traced))
    return traced


def add_picture(traced: TracedFilm, frame: DishFrame, image: Array) -> None:
    """Add what was traced in the next picture, without its large images."""
    for index, event in enumerate(frame.events, start=traced.n_events):
        if len(traced.snapshots) < MAX_MONTAGE_EVENTS and np.isfinite(event.y):
            traced.snapshots[index] = _crop(image, event.y, event.x)
    if frame.is_traced:
        traced.last = frame
    nothing = np.zeros((0, 0))
    small = replace(frame, owners=nothing, is_body=nothing, is_claimed=nothing)
    traced.frames.append(small)
    for notice in frame.notices if frame.is_traced else ():
        if notice not in traced.notices:
            traced.notices.append(notice)


def _crop(image: Array, y: float, x: float) -> Array:
    top, left = max(0, round(y) - _CROP_PX), max(0, round(x) - _CROP_PX)
    return image[top : top + 2 * _CROP_PX, left : left + 2 * _CROP_PX].copy()


def _explain_nothing_traced(traced: TracedFilm) -> str:
    if not traced.frames:
        return f"{traced.name} contains no picture"
    reasons = "; ".join(dict.fromkeys(f.notices[0] for f in traced.frames))
    return f"no picture of {traced.name} can be traced: {reasons}"
