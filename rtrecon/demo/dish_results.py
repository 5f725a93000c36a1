"""What the demo of a dish leaves behind: summary, and time-lapse with its tracing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.analysis.dish.overlay import draw_overlay
from rtrecon.analysis.dish.overlay_movie import OverlayMovie
from rtrecon.analysis.dish.recorded_film import iterate_recorded_pictures
from rtrecon.session.session import Session
from rtrecon.simulate.dish.truth import DishTruth

VIDEO_FILE = "timelapse.mp4"
_VIDEO_HZ = 12.0


def summarize_dish(
    session: Session, truth: DishTruth, um_per_px: float
) -> dict[str, Any]:
    """Return counts of the last picture beside the truth, and what happened."""
    table, dish = session.dish, session.about.dish
    assert dish is not None
    kinds = [dish.event_kinds[int(kind)] for kind in session.dish_events["kind"]]
    latency_ms = session.frames["latency_ms"]
    return {
        "pictures": len(table),
        "pictures_traced": int(table["is_traced"].sum()),
        "hours": float(np.ptp(table["t_microscope_s"])) / 3600,
        "bodies": int(table["bodies"][-1]),
        "true_bodies": len(truth.bodies),
        "contacts": int(table["contacts"][-1]),
        "true_contacts": len(truth.touches),
        "length_mm": float(table["length_um"][-1]) / 1000,
        "true_length_mm": sum(truth.length_px.values()) * um_per_px / 1000,
        "events": dict(Counter(kinds)),
        "frame_to_trace_ms": {
            "p50": float(np.median(latency_ms)),
            "max": float(latency_ms.max()),
        },
    }


def write_dish_results(folder: Path, session: Session, summary: dict[str, Any]) -> None:
    """Write `summary.json` and the time-lapse with its tracing into the folder."""
    text = json.dumps(summary, indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    movie = OverlayMovie(folder / VIDEO_FILE, _VIDEO_HZ)
    try:
        for picture, traced in iterate_recorded_pictures(session):
            movie.add_picture(draw_overlay(picture, traced))
    finally:
        movie.close()
