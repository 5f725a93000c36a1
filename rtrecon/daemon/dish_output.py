"""Publishes and records what was traced in a picture of a dish."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.daemon.dish_facts import make_view
from rtrecon.daemon.plane import DishPicture, ProcessedFrame
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.events import DishEvent, DishEventKind
from rtrecon.dish.frame_check import PictureDefect
from rtrecon.protocol import messages
from rtrecon.protocol.dish_messages import (
    BODY_COLUMNS,
    CONTACT_COLUMNS,
    MAX_NEURONS,
    MAX_ROWS,
    NOT_CLAIMED,
)
from rtrecon.session.dish_tables import (
    DishBodyRow,
    DishContactRow,
    DishEventRow,
    DishRow,
    DishTraceRow,
)
from rtrecon.transport.publisher import Publisher

EVENT_KINDS = [kind.value for kind in DishEventKind]
MAX_TRACE_SIDE_PX = 1024  # of the published image of owners
# Fields of the tables of the tracing, in the order of the published columns.
_BODY_FIELDS = (
    *("number", "y", "x", "area_um2", "brightness"),
    *("length_um", "n_tips", "n_partners", "is_confirmed"),
)
_CONTACT_FIELDS = (
    *("id", "y", "x", "first", "second", "is_on_body", "is_confirmed"),
    *("first_frame", "last_frame", "n_seen"),
)
assert len(_BODY_FIELDS) == len(BODY_COLUMNS)
assert len(_CONTACT_FIELDS) == len(CONTACT_COLUMNS)


class DishOutput:
    """Sends each traced picture to subscribers and into the recording."""

    def __init__(self, publisher: Publisher, recording: SessionRecording) -> None:
        self._publisher = publisher
        self._recording = recording
        self._sentences: list[str] = []  # for the log

    def send_picture(
        self, plane: int, processed: ProcessedFrame, picture: DishPicture
    ) -> None:
        """Publish and record one picture and its events."""
        traced = picture.traced
        claimed = map_claimed_owners(traced)
        self._publish(plane, processed, traced, claimed)
        for event in traced.events:
            self._publish_event(plane, processed, event)
        self._record(plane, processed, picture, claimed)

    def take_sentences(self) -> list[str]:
        """Return the sentences of the events since the last call."""
        sentences, self._sentences = self._sentences, []
        return sentences

    def _publish_event(
        self, plane: int, processed: ProcessedFrame, event: DishEvent
    ) -> None:
        sentence = event.describe()
        if plane:
            sentence = f"position {plane + 1}: {sentence}"
        published = self._publisher.publish(
            messages.Event,
            name=event.kind.value,
            message=sentence,
            frame=processed.frame.message.frame,
            t_frame=processed.frame.t_received_s,
        )
        self._recording.record_result(published)
        self._sentences.append(sentence)

    def _publish(
        self, plane: int, processed: ProcessedFrame, traced: DishFrame, claimed: Array
    ) -> None:
        message = processed.frame.message
        key: dict[str, Any] = {
            "frame": message.frame,
            "picture": traced.frame,
            "t_microscope": message.t,
            "t_frame": processed.frame.t_received_s,
            "plane": plane,
        }
        publish = self._publisher.publish
        publish(messages.DishCounts, **key, **describe_counts(traced))
        bodies = make_table(traced.bodies, _BODY_FIELDS)
        publish(messages.DishBodies, bodies, **key, shape=bodies.shape)
        contacts = make_table(traced.contacts, _CONTACT_FIELDS)
        publish(messages.DishContacts, contacts, **key, shape=contacts.shape)
        step = -(-max(claimed.shape) // MAX_TRACE_SIDE_PX)
        image = reduce_owners(claimed, step)
        publish(messages.DishTrace, image, **key, shape=image.shape, downsampling=step)

    def _record(
        self,
        plane: int,
        processed: ProcessedFrame,
        picture: DishPicture,
        claimed: Array,
    ) -> None:
        recorder, dish = self._recording.recorder, self._recording.dish
        if recorder is None or dish is None:
            return
        traced = picture.traced
        message, figures = processed.frame.message, traced.figures
        key = traced.frame, message.frame, plane, message.t
        n_provisional = len(traced.contacts) - figures.n_contacts
        row = DishRow(
            *key,
            bodies=figures.n_bodies,
            contacts=figures.n_contacts,
            provisional_contacts=n_provisional,
            branch_points=figures.n_branch_points,
            length_um=figures.length_um,
            area_mm2=figures.area_mm2,
            is_traced=traced.is_traced,
            is_out_of_focus=_is_out_of_focus(traced),
            is_dense=traced.is_dense,
        )
        recorder.add_dish_picture(row, make_view(picture.image, dish.view_step_px))
        recorder.add_dish_trace(DishTraceRow(*key), claimed)
        events = [_make_event_row(key, event) for event in traced.events]
        recorder.add_dish_rows("dish_events", events)
        if not traced.is_traced:
            return
        bodies = [
            DishBodyRow(*key, *row) for row in _list_rows(traced.bodies, _BODY_FIELDS)
        ]
        recorder.add_dish_rows("dish_bodies", bodies)
        contacts = [
            DishContactRow(*key, *row)
            for row in _list_rows(traced.contacts, _CONTACT_FIELDS)
        ]
        recorder.add_dish_rows("dish_contacts", contacts)


def describe_counts(traced: DishFrame) -> dict[str, Any]:
    """Return the fields of `DishCounts` that say what a picture shows."""
    figures, counts = traced.figures, Counter(event.kind for event in traced.events)
    longest = np.sort(traced.bodies, order="length_um")[::-1][:MAX_NEURONS]
    return {
        "bodies": figures.n_bodies,
        "contacts": figures.n_contacts,
        "provisional_contacts": len(traced.contacts) - figures.n_contacts,
        "branch_points": figures.n_branch_points,
        "length_mm": figures.length_um / 1000,
        "length_mm_per_mm2": figures.length_mm_per_mm2,
        "branch_points_per_mm2": figures.branch_points_per_mm2,
        "area_mm2": figures.area_mm2,
        "new_contacts": counts[DishEventKind.CONTACT],
        "lost_contacts": counts[DishEventKind.CONTACT_LOST],
        "retractions": counts[DishEventKind.RETRACTION],
        "new_bodies": counts[DishEventKind.NEW_BODY],
        "deaths": counts[DishEventKind.DEATH],
        "is_traced": bool(traced.is_traced),
        "is_dense": bool(traced.is_dense),
        "is_out_of_focus": _is_out_of_focus(traced),
        "notices": list(traced.notices),
        "neuron": {
            str(int(row["number"])): messages.NeuronFigures(
                round(float(row["length_um"]), 2),
                int(row["n_tips"]),
                int(row["n_partners"]),
            )
            for row in longest
        },
    }


def map_claimed_owners(traced: DishFrame) -> Array:
    """Return uint16 owners (lines, pixels) that say where nothing is claimed."""
    return np.where(traced.is_claimed, traced.owners, np.uint16(NOT_CLAIMED))


def reduce_owners(owners: Array, step: int) -> Array:
    """Return the owners of squares of `step` pixels; thin neurites remain.

    The value of a square is that of its neurites and bodies, else of its background.
    """
    if step == 1:
        return owners
    lines, pixels = (side // step * step for side in owners.shape)
    squares = owners[:lines, :pixels].reshape(lines // step, step, pixels // step, step)
    is_neuron = (squares > 0) & (squares != NOT_CLAIMED)
    neurons = np.where(is_neuron, squares, 0).max(axis=(1, 3))
    background = squares.min(axis=(1, 3))
    return np.where(neurons > 0, neurons, background).astype(np.uint16)


def make_table(rows: Array, fields: tuple[str, ...]) -> Array:
    """Return float32 (rows, fields) of a structured table; at most `MAX_ROWS` rows."""
    rows = rows[:MAX_ROWS]
    table = np.empty((len(rows), len(fields)), np.float32)
    for column, name in enumerate(fields):
        table[:, column] = rows[name]
    return table


def _is_out_of_focus(traced: DishFrame) -> bool:
    return PictureDefect.OUT_OF_FOCUS.value in traced.notices


def _list_rows(rows: Array, fields: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return list(rows[list(fields)][:MAX_ROWS].tolist())


def _make_event_row(key: tuple[int, int, int, float], event: DishEvent) -> DishEventRow:
    return DishEventRow(
        *key,
        kind=EVENT_KINDS.index(event.kind.value),
        start_picture=event.start_frame,
        y_px=event.y,
        x_px=event.x,
        first=event.first,
        second=event.second,
    )
