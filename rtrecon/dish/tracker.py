"""Traces a film of neurons in a dish, one picture after the other: `DishTracker`."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.dish.body_step import BodyStep, NumberedBodies
from rtrecon.dish.body_watch import watch_bodies
from rtrecon.dish.contact_finder import find_contacts
from rtrecon.dish.contact_tracker import ContactTracker
from rtrecon.dish.density import DensityGate
from rtrecon.dish.dish_frame import DishFrame, make_empty_frame
from rtrecon.dish.enlarge import enlarge_frame
from rtrecon.dish.events import DishEvent, DishEventKind
from rtrecon.dish.flatten import flatten_image
from rtrecon.dish.frame_check import (
    FrameCheck,
    PictureDefect,
    shows_transmitted_light,
)
from rtrecon.dish.frame_tables import RIM_PX, TracedPicture
from rtrecon.dish.image_filters import average_blocks, dilate_square
from rtrecon.dish.jumps import describe_jump
from rtrecon.dish.owner_memory import OwnerMemory
from rtrecon.dish.owners import assign_owners
from rtrecon.dish.pixel_graph import PixelGraph, build_pixel_graph
from rtrecon.dish.pixel_scale import choose_pixel_scale
from rtrecon.dish.retractions import RetractionMonitor
from rtrecon.dish.trace import NeuriteTracer, Trace

_MIN_SIDE_PX = 64
_BORDER_DIAMETERS = 1.5  # a body nearer to the border may leave the field
# Durations in s, the fewest and the most frames.
_MEMORY = (9000.0, 15, 60)
_CONFIRM = (1200.0, 2, 10)
_MISS = (2400.0, 4, 20)


class _Part(Protocol):
    """A part of the tracker that remembers something between frames."""

    def get_state(self) -> dict[str, Array]: ...

    def restore_state(self, state: dict[str, Array]) -> None: ...


class DishTracker:
    """Traces registered pictures in their order; remembers a bounded state.

    All pictures have the size of the first. `process_frame` never looks ahead, and a
    tracker that continues from a saved state gives the same numbers.
    """

    def __init__(self, settings: DishSettings) -> None:
        self.settings = settings
        self._scale = scale = choose_pixel_scale(settings)
        self._bodies = BodyStep(scale, settings.sensitivity)
        self._tracer = NeuriteTracer(settings.sensitivity)
        self._contacts = ContactTracker(
            scale.count_frames(*_CONFIRM), scale.count_frames(*_MISS)
        )
        self._retractions = RetractionMonitor()
        self._check, self._gate = FrameCheck(), DensityGate()
        self._memory: OwnerMemory | None = None
        self._graph: PixelGraph | None = None  # of the newest picture
        self._tips = np.zeros((0, 3))
        self._shape, self._frame, self._was_focused = (0, 0), -1, True
        self._newest: DishFrame | None = None

    def process_frame(
        self, image: Array, is_valid: Array | None = None, t_s: float | None = None
    ) -> DishFrame:
        """Return what a picture shows.

        image: (lines, pixels) uint8, uint16 or float32, registered. is_valid: bool,
        False outside of the field that all pictures share. t_s: time; by default frames
        times the interval. Raises UserError for a picture of another size.
        """
        self._require_shape(image)
        self._frame += 1
        t_s = self._frame * self.settings.interval_s if t_s is None else t_s
        defect = self._check.find_defect(image)
        if defect:
            return self._skip(t_s, defect)
        self._was_focused = True
        reduction = self._scale.reduction
        flat = flatten_image(average_blocks(image, reduction))
        if self._newest is None and shows_transmitted_light(flat):
            return self._skip(t_s, PictureDefect.TRANSMITTED_LIGHT)
        valid = np.ones(flat.shape, bool)
        if is_valid is not None:
            valid = average_blocks(is_valid, reduction) == 1
            flat *= valid
        frame = replace(self._trace(flat, valid), t_s=t_s)
        self._newest = enlarge_frame(frame, reduction, self._shape)
        return self._newest

    def reassign_segment(self, y: float, x: float, number: int) -> bool:
        """Give the piece of a neurite at a position to a neuron; it is remembered.

        y, x: px of the picture. Returns False where no neurite is within reach.
        """
        if self._memory is None or self._graph is None:
            return False
        reduction = self._scale.reduction
        row, col = ((v + 0.5) / reduction - 0.5 for v in (y, x))
        piece = self._graph.find_piece(row, col)
        self._memory.pin(self._graph.rows[piece], self._graph.cols[piece], number)
        return bool(len(piece))

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames, as arrays."""
        parts = self._list_parts()
        if self._memory is not None:
            parts["memory"] = self._memory
        state = {
            f"{name}.{key}": np.array(values)
            for name, part in parts.items()
            for key, values in part.get_state().items()
        }
        flags = (self._frame, self._was_focused, *self._shape)
        return {**state, "tips": self._tips.copy(), "flags": np.array(flags)}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state; the numbers of neurons go on."""
        self._frame, was_focused, *shape = state["flags"].tolist()
        self._shape, self._was_focused = (shape[0], shape[1]), bool(was_focused)
        self._tips = state["tips"]
        parts = self._list_parts()
        if "memory.owners" in state:
            parts["memory"] = self._get_memory(state["memory.owners"].shape)
        for name, part in parts.items():
            stored = {
                key.removeprefix(f"{name}."): values
                for key, values in state.items()
                if key.startswith(f"{name}.")
            }
            part.restore_state(stored)

    def _list_parts(self) -> dict[str, _Part]:
        return {
            "bodies": self._bodies.tracker,
            "contacts": self._contacts,
            "retractions": self._retractions,
            "check": self._check,
            "gate": self._gate,
        }

    def _require_shape(self, image: Array) -> None:
        if image.ndim != 2 or min(image.shape) < _MIN_SIDE_PX:
            raise UserError(
                f"neurons cannot be traced in a picture of {list(image.shape)}; gray "
                f"pictures of at least {_MIN_SIDE_PX} x {_MIN_SIDE_PX} pixels can be "
                "traced"
            )
        if self._shape == (0, 0):
            self._shape = (image.shape[0], image.shape[1])
        if image.shape != self._shape:
            raise UserError(
                f"this picture has {image.shape[0]} x {image.shape[1]} pixels, and the "
                f"film began with {self._shape[0]} x {self._shape[1]}; was the binning "
                "of the camera changed? Start a new film."
            )

    def _get_memory(self, shape: tuple[int, ...]) -> OwnerMemory:
        if self._memory is None:
            max_age = self._scale.count_frames(*_MEMORY)
            self._memory = OwnerMemory((shape[0], shape[1]), max_age)
        return self._memory

    def _skip(self, t_s: float, defect: PictureDefect) -> DishFrame:
        """Return the tables of the frame before, with the reason; claim nothing."""
        events: tuple[DishEvent, ...] = ()
        if defect is PictureDefect.OUT_OF_FOCUS and self._was_focused:
            kind, nowhere = DishEventKind.OUT_OF_FOCUS, float("nan")
            events = (DishEvent(kind, self._frame, self._frame, nowhere, nowhere),)
        self._was_focused = defect is not PictureDefect.OUT_OF_FOCUS
        return replace(
            self._newest or make_empty_frame(self._shape),
            frame=self._frame,
            t_s=t_s,
            events=events,
            is_claimed=np.zeros(self._shape, bool),
            is_traced=False,
            notices=(defect.value,),
        )

    def _trace(self, flat: Array, is_valid: Array) -> DishFrame:
        """Return what a flattened picture shows, in its pixels."""
        memory = self._get_memory(flat.shape)
        bodies = self._bodies.find(self._frame, flat, memory.was_traced())
        notices = self._carry_over(bodies.jump_px)
        labels = _widen_bodies(bodies.labels)
        trace = self._tracer.trace(flat, labels > 0, bodies.brightness)
        is_dense = self._gate.check(trace, is_valid)
        picture, contact_events = self._assign(
            bodies, labels, trace, is_valid, is_dense
        )
        frame = _describe_picture(picture, self._frame, self._bodies.list_confirmed())
        events = [*self._watch(flat.shape, frame), *contact_events]
        if is_dense:
            notices.append(self._gate.notice)
            frame = replace(frame, is_claimed=np.zeros_like(frame.is_claimed))
        return replace(
            frame,
            events=tuple(events),
            notices=(*notices, *_describe_bodies(len(bodies.table))),
            is_dense=is_dense,
        )

    def _assign(
        self,
        bodies: NumberedBodies,
        labels: Array,
        trace: Trace,
        is_valid: Array,
        is_dense: bool,
    ) -> tuple[TracedPicture, list[DishEvent]]:
        """Return the picture with owners and touches; none where it is too dense."""
        self._graph = graph = build_pixel_graph(trace.lines)
        owners, events = np.zeros(len(graph), np.int32), []
        if not is_dense:
            memory = self._get_memory(labels.shape)
            owners, misses = assign_owners(graph, labels, memory, self._tips)
            memory.store(graph.rows, graph.cols, owners, misses)
            found = find_contacts(graph, owners, labels, bodies.table)
            events = self._contacts.update(self._frame, found)
        contacts = self._contacts.contacts.copy()
        if is_dense:
            contacts = contacts[:0]
        picture = TracedPicture(
            bodies, labels, trace, graph, owners, contacts, is_valid, self._scale
        )
        self._tips = picture.list_tips()
        return picture, events

    def _carry_over(self, jump_px: Array | None) -> list[str]:
        """Move all that is remembered along with the bodies."""
        if jump_px is None or self._memory is None:
            return []
        self._memory.move_all((round(jump_px[0]), round(jump_px[1])))
        self._contacts.move_all(jump_px)
        self._tips[:, :2] += jump_px
        return [describe_jump(jump_px * self._scale.reduction)]

    def _watch(self, shape: tuple[int, ...], frame: DishFrame) -> list[DishEvent]:
        margin_px = _BORDER_DIAMETERS * self._scale.body_px
        events = watch_bodies(self._bodies.tracker, self._frame, shape, margin_px)
        if frame.is_dense:
            return events
        bodies = {int(row["number"]): row for row in frame.bodies}
        lengths = {number: float(row["length_um"]) for number, row in bodies.items()}
        for number in self._retractions.update(lengths):
            y, x = float(bodies[number]["y"]), float(bodies[number]["x"])
            kind, at = DishEventKind.RETRACTION, self._frame
            events.append(DishEvent(kind, at, at, y, x, number))
        return events


def _widen_bodies(labels: Array) -> Array:
    """Return the labels with a rim of 2 px, where no other body is."""
    return np.where(labels > 0, labels, dilate_square(labels, RIM_PX))


def _describe_picture(
    picture: TracedPicture, frame: int, confirmed: Array
) -> DishFrame:
    """Return the tables of a traced picture; events and notices are still missing."""
    is_confirmed = np.isin(picture.bodies.numbers, confirmed)
    return replace(
        make_empty_frame((0, 0)),
        frame=frame,
        bodies=picture.list_bodies(is_confirmed),
        segments=picture.list_segments(),
        contacts=picture.contacts,
        figures=picture.measure_figures(),
        owners=picture.map_owners(),
        is_body=picture.labels > 0,
        is_claimed=picture.is_valid,
        is_traced=True,
    )


def _describe_bodies(n_bodies: int) -> list[str]:
    if n_bodies == 0:
        return ["no body is found: check body_um, sensitivity and focus"]
    if n_bodies == 1:
        return ["only one body is found: there can be no touches"]
    return []
