"""`rtrecon dish`: traces a film of neurons and writes everything about it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.image import imsave
from pydantic import ValidationError

from rtrecon.analysis.dish.film import FilmRequest, open_film
from rtrecon.analysis.dish.overlay import draw_overlay
from rtrecon.analysis.dish.overlay_movie import OverlayMovie
from rtrecon.analysis.dish.report import write_report
from rtrecon.analysis.dish.rois import write_body_masks
from rtrecon.analysis.dish.summary import summarize_film
from rtrecon.analysis.dish.trace_film import TracedFilm, trace_film
from rtrecon.analysis.html import encode_data_url
from rtrecon.config.dish import DishSettings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.export.dish.graph import write_graph
from rtrecon.export.dish.swc import write_swc_files
from rtrecon.export.dish.tables import write_tables

_MOVIE_RATE_HZ = 10.0


@dataclass(frozen=True)
class DishRequest:
    """Which film to trace, how, and where to write.

    out: folder; it is made. body_um: diameter of a usual cell body. swc_frames: indices
    of pictures whose neurons are written as SWC, besides the last traced one.
    """

    film: FilmRequest
    out: Path
    body_um: float = 12.0
    sensitivity: float = 1.0
    swc_frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class DishResult:
    """What was written. sentences: the summary."""

    sentences: list[str]
    paths: list[Path] = field(default_factory=list)


def trace_dish(request: DishRequest, on_progress: ProgressCallback) -> DishResult:
    """Trace a film; write tables, SWC, GraphML, masks, video and report.

    Raises UserError, before any long work if the request cannot be carried out.
    """
    film = open_film(request.film)
    settings = _make_settings(request, film.um_per_px, film.interval_s)
    out = _make_folder(request.out)
    writer = _FrameWriter(request, film.um_per_px)
    try:
        traced = trace_film(film, settings, writer.add, on_progress)
    finally:
        writer.movie.close()
    return DishResult(summarize_film(traced), _write_results(out, traced, writer))


class _FrameWriter:
    """Writes what needs whole frames while the film is traced."""

    def __init__(self, request: DishRequest, um_per_px: float) -> None:
        out = request.out
        self.movie = OverlayMovie(out / "film.mp4", _MOVIE_RATE_HZ)
        self.swc_paths: list[Path] = []
        self.last_overlay: Array | None = None
        self._folder, self._swc_frames = out / "swc", request.swc_frames
        self._um_per_px = um_per_px

    def add(self, image: Array, frame: DishFrame) -> None:
        """Write one picture."""
        overlay = draw_overlay(image, frame)
        self.movie.add_picture(overlay)
        if not frame.is_traced:
            return
        self.last_overlay = overlay
        if frame.frame in self._swc_frames:
            self.write_swc(frame)

    def write_swc(self, frame: DishFrame) -> None:
        """Write the neurons of a frame."""
        self.swc_paths += write_swc_files(self._folder, frame, self._um_per_px)


def _write_results(out: Path, traced: TracedFilm, writer: _FrameWriter) -> list[Path]:
    assert traced.last is not None
    assert writer.last_overlay is not None
    if not traced.last.is_dense:
        writer.write_swc(traced.last)
    paths = write_tables(out, traced.frames)
    paths.append(write_graph(out / "contacts.graphml", traced.frames))
    paths.append(write_body_masks(out / "bodies.json", traced.last))
    png = io.BytesIO()
    imsave(png, writer.last_overlay, format="png")
    overlay_url = encode_data_url(png.getvalue(), "image/png")
    paths.append(write_report(out / "report.html", traced, overlay_url))
    return [*paths, out / "film.mp4", *writer.swc_paths]


def _make_settings(
    request: DishRequest, um_per_px: float, interval_s: float
) -> DishSettings:
    try:
        return DishSettings(
            body_um=request.body_um,
            sensitivity=request.sensitivity,
            um_per_px=um_per_px,
            interval_s=interval_s,
        )
    except ValidationError as error:
        (first, *_) = error.errors()
        name = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{name} {first['input']}: {first['msg']}") from None


def _make_folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {out} cannot be made: {error}") from None
    return out
