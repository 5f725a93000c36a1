"""Writes what a session of a dish recorded as SWC, GraphML and video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rtrecon.analysis.dish.overlay import draw_overlay
from rtrecon.analysis.dish.overlay_movie import OverlayMovie
from rtrecon.analysis.dish.recorded_film import (
    iterate_recorded_pictures,
    read_traced_film,
)
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.export.dish.graph import write_graph
from rtrecon.export.dish.swc import write_swc_files
from rtrecon.session.session import Session

_MOVIE_RATE_HZ = 10.0


@dataclass(frozen=True)
class DishFiles:
    """Which files to write of one stage position, counted from 1; None = not this one.

    swc: folder for the neurons of the last picture that was traced. graphml: the pairs
    that touched. video: the pictures with all that was traced.
    """

    swc: Path | None = None
    graphml: Path | None = None
    video: Path | None = None
    position: int = 1


def write_dish_files(path: Path, files: DishFiles) -> list[Path]:
    """Write the files of a recorded session; return their paths.

    Raises `UserError` if it is no session of a dish, if it has no such position, or if
    nothing was traced.
    """
    session = Session(path)
    plane = _find_plane(session, files.position)
    written: list[Path] = []
    if files.swc or files.graphml:
        traced = read_traced_film(session, plane)
        assert traced.last is not None
        if files.graphml:
            written.append(write_graph(files.graphml, traced.frames))
        if files.swc:
            written += _write_swc(files.swc, session, traced.last)
    if files.video:
        pictures = iterate_recorded_pictures(session, plane)
        written.append(_write_video(files.video, pictures))
    return written


def _find_plane(session: Session, position: int) -> int:
    dish = session.about.dish
    if dish is None:
        raise UserError(
            f"{session.path} is not a session of neurons in a dish; --swc, --graphml "
            "and --video need one"
        )
    if not 1 <= position <= dish.n_planes:
        raise UserError(
            f"--position {position}: the session has {dish.n_planes} stage positions, "
            "counted from 1"
        )
    return position - 1


def _write_swc(folder: Path, session: Session, frame: DishFrame) -> list[Path]:
    dish = session.about.dish
    assert dish is not None
    if frame.is_dense:
        raise UserError(
            f"{session.path}: the last picture is too dense to tell whose a neurite "
            "is; there is nothing to write as SWC"
        )
    try:
        return write_swc_files(folder, frame, dish.um_per_px * dish.view_step_px)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}") from None


def _write_video(path: Path, pictures: Iterable[tuple[Array, DishFrame]]) -> Path:
    movie = OverlayMovie(path, _MOVIE_RATE_HZ)
    try:
        for picture, frame in pictures:
            movie.add_picture(draw_overlay(picture, frame))
    finally:
        movie.close()
    return path
