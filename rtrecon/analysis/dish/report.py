"""The report of a film of a dish: one HTML page to print, mail and keep."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from matplotlib.figure import Figure

from rtrecon.analysis.dish.overlay import stretch_contrast
from rtrecon.analysis.dish.summary import list_events, summarize_film
from rtrecon.analysis.dish.trace_film import TracedFilm
from rtrecon.analysis.html import (
    BLUE,
    GREEN,
    VERMILION,
    encode_png_url,
    encode_svg_url,
    render_page,
)
from rtrecon.core.files import write_atomically
from rtrecon.core.version import __version__

_WIDTH_INCH, _HEIGHT_INCH = 8.0, 5.0
_MAX_LISTED_EVENTS = 200


def write_report(path: Path, traced: TracedFilm, overlay_url: str) -> Path:
    """Write the report and return its path. overlay_url: picture of the end."""
    events = list_events(traced)
    snapshots = [
        {
            "title": f"{events[index][0] / 3600:.2f} h: {events[index][1].describe()}",
            "url": encode_png_url(stretch_contrast(picture)),
        }
        for index, picture in traced.snapshots.items()
    ]
    page = render_page(
        "dish.html.jinja",
        title=f"rtrecon: {traced.name}",
        name=traced.name,
        sentences=summarize_film(traced),
        curves_url=encode_svg_url(plot_curves(traced)),
        overlay_url=overlay_url,
        snapshots=snapshots,
        events=_list_event_rows(traced)[:_MAX_LISTED_EVENTS],
        n_events=len(events),
        neurons=_list_neuron_rows(traced),
        provenance=_format_provenance(traced),
    )
    write_atomically(path, page)
    return path


def plot_curves(traced: TracedFilm) -> Figure:
    """Draw length per area, touches and bodies over hours; gaps are gaps."""
    hours = np.array([frame.t_s for frame in traced.frames]) / 3600
    is_traced = np.array([frame.is_traced for frame in traced.frames])
    figures = [frame.figures for frame in traced.frames]
    figure = Figure((_WIDTH_INCH, _HEIGHT_INCH), layout="constrained")
    all_axes = figure.subplots(3, 1, sharex=True)
    curves = (
        ("neurites, mm per mm2", [f.length_mm_per_mm2 for f in figures], BLUE),
        ("touches", [f.n_contacts for f in figures], VERMILION),
        ("cell bodies", [f.n_bodies for f in figures], GREEN),
    )
    for axes, (label, values, color) in zip(all_axes, curves, strict=True):
        shown = np.where(is_traced, np.array(values, float), np.nan)
        axes.plot(hours, shown, ".-", color=color, linewidth=1, markersize=3)
        axes.set(ylabel=label, ylim=(0, None))
    all_axes[-1].set_xlabel("time, h")
    return figure


def _list_event_rows(traced: TracedFilm) -> list[tuple[str, ...]]:
    return [
        (
            f"{t_s / 3600:.2f} h",
            event.kind.value,
            event.describe(),
            f"{event.y:.0f}, {event.x:.0f}" if np.isfinite(event.y) else "",
        )
        for t_s, event in list_events(traced)
    ]


def _list_neuron_rows(traced: TracedFilm) -> list[tuple[str, ...]]:
    assert traced.last is not None
    return [
        (
            str(body["number"]),
            f"{body['length_um']:.0f}",
            str(body["n_tips"]),
            str(body["n_partners"]),
            f"{body['area_um2']:.0f}",
            f"{body['y']:.0f}, {body['x']:.0f}",
        )
        for body in traced.last.bodies
    ]


def _format_provenance(traced: TracedFilm) -> str:
    settings = msgspec.json.format(msgspec.json.encode(traced.settings.model_dump()))
    return f"rtrecon {__version__}\n{settings.decode()}"
