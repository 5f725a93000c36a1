"""Reads what the daemon traced in a session of a dish, and makes its report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon.analysis.dish.overlay import draw_overlay
from rtrecon.analysis.dish.report import write_report
from rtrecon.analysis.dish.trace_film import TracedFilm, add_picture
from rtrecon.analysis.html import encode_png_url
from rtrecon.config import LiveDishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.dish.contact_tracker import TRACKED_CONTACT_DTYPE
from rtrecon.dish.dish_frame import (
    BODY_DTYPE,
    SEGMENT_DTYPE,
    DishFigures,
    DishFrame,
)
from rtrecon.dish.events import DishEvent, DishEventKind
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS, NOT_CLAIMED
from rtrecon.session.session import Session
from rtrecon.session.table import Table

_NOT_TRACED = "the picture was not usable; the events of the session say why"


def iterate_recorded_pictures(
    session: Session, plane: int = 0
) -> Iterator[tuple[Array, DishFrame]]:
    """Yield each picture, uint8 (lines, pixels), with what was traced in it.

    Both have the size of the recorded views, and positions are px of these. Pieces of
    neurites are not read. Bodies are discs of their recorded areas. Raises
    `UserError` if it is no session of a dish.
    """
    dish = session.about.dish
    if dish is None:
        raise UserError(f"{session.path} is not a session of neurons in a dish")
    step, table = dish.view_step_px, session.dish
    traces = session.dish_traces
    trace_rows = _index_rows(traces, plane)
    for row in np.flatnonzero(table["plane"] == plane).tolist():
        picture = int(table["picture"][row])
        if picture not in trace_rows:  # its image was lost
            continue
        trace_row = trace_rows[picture]
        owners = traces.read_values(trace_row, trace_row + 1)[0][::step, ::step]
        bodies = _read_bodies(session.dish_bodies, picture, plane, step)
        frame = DishFrame(
            frame=picture,
            t_s=float(table["t_microscope_s"][row]),
            bodies=bodies,
            segments=np.zeros(0, SEGMENT_DTYPE),
            contacts=_read_contacts(session.dish_contacts, picture, plane, step),
            events=_read_events(session, picture, plane, step),
            figures=_read_figures(table, row),
            owners=np.where(owners == NOT_CLAIMED, np.uint16(0), owners),
            is_body=_draw_bodies(owners, bodies, dish.um_per_px * step),
            is_claimed=owners != NOT_CLAIMED,
            is_traced=bool(table["is_traced"][row]),
            is_dense=bool(table["is_dense"][row]),
            notices=() if table["is_traced"][row] else (_NOT_TRACED,),
        )
        yield table.read_values(row, row + 1)[0], frame


def read_traced_film(session: Session, plane: int = 0) -> TracedFilm:
    """Return the tables of a session, as tracing its film at the desk would.

    Raises `UserError` if it is no session of a dish, or if nothing was traced.
    """
    traced: TracedFilm | None = None
    for picture, frame in iterate_recorded_pictures(session, plane):
        traced = traced or _start_film(session)
        add_picture(traced, frame, picture)
    if traced is None or traced.last is None:
        raise UserError(f"{session.path} has no picture that was traced")
    return traced


def write_session_report(session: Session, out: Path) -> Path:
    """Write the report of a session of a dish; of its first stage position."""
    traced = read_traced_film(session)
    n_planes = session.about.dish.n_planes if session.about.dish else 1
    if n_planes > 1:
        traced.notices.append(f"The first of {n_planes} stage positions is shown.")
    *_, (picture, frame) = iterate_recorded_pictures(session)
    return write_report(out, traced, encode_png_url(draw_overlay(picture, frame)))


def _start_film(session: Session) -> TracedFilm:
    dish, name = session.about.dish, session.path.resolve().name
    assert dish is not None
    live = LiveDishSettings.model_validate(session.about.settings["dish"])
    return TracedFilm(name, live.describe_film(dish.um_per_px, dish.interval_s))


def _read_events(
    session: Session, picture: int, plane: int, step: int
) -> tuple[DishEvent, ...]:
    dish, table = session.about.dish, session.dish_events
    assert dish is not None
    is_here = (table["picture"] == picture) & (table["plane"] == plane)
    return tuple(
        DishEvent(
            DishEventKind(dish.event_kinds[int(table["kind"][row])]),
            picture,
            int(table["start_picture"][row]),
            float(table["y_px"][row]) / step,
            float(table["x_px"][row]) / step,
            int(table["first"][row]),
            int(table["second"][row]),
        )
        for row in np.flatnonzero(is_here).tolist()
    )


def _index_rows(table: Table, plane: int) -> dict[int, int]:
    rows = np.flatnonzero(table["plane"] == plane)
    return {int(table["picture"][row]): int(row) for row in rows}


def _read_figures(table: Table, row: int) -> DishFigures:
    return DishFigures(
        n_bodies=int(table["bodies"][row]),
        n_contacts=int(table["contacts"][row]),
        n_branch_points=int(table["branch_points"][row]),
        length_um=float(table["length_um"][row]),
        area_mm2=float(table["area_mm2"][row]),
    )


def _read_bodies(table: Table, picture: int, plane: int, step: int) -> Array:
    rows = _read_rows(table, picture, plane, BODY_COLUMNS, BODY_DTYPE)
    return _scale_positions(rows, step)


def _read_contacts(table: Table, picture: int, plane: int, step: int) -> Array:
    rows = _read_rows(table, picture, plane, CONTACT_COLUMNS, TRACKED_CONTACT_DTYPE)
    return _scale_positions(rows, step)


def _read_rows(
    table: Table, picture: int, plane: int, columns: tuple[str, ...], dtype: np.dtype
) -> Array:
    """Return the rows of a picture; the columns are the fields of dtype, in order."""
    is_here = (table["picture"] == picture) & (table["plane"] == plane)
    rows = np.zeros(int(is_here.sum()), dtype)
    for name, column in zip(dtype.names or (), columns, strict=True):
        rows[name] = table[column][is_here]
    return rows


def _scale_positions(rows: Array, step: int) -> Array:
    for name in ("y", "x"):
        rows[name] = (rows[name] - (step - 1) / 2) / step
    return rows


def _draw_bodies(owners: Array, bodies: Array, um_per_px: float) -> Array:
    """Return bool (lines, pixels): the pixels of each neuron within its body's disc."""
    is_body = np.zeros(owners.shape, bool)
    rows, cols = np.arange(owners.shape[0])[:, None], np.arange(owners.shape[1])
    for body in bodies:
        radius_px = 1.3 * np.sqrt(body["area_um2"] / np.pi) / um_per_px
        is_near = np.hypot(rows - body["y"], cols - body["x"]) <= radius_px
        is_body |= is_near & (owners == body["number"])
    return is_body
