"""What the demo leaves behind: summary, movie and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

from rtrecon.analysis.report import write_report
from rtrecon.core.types import Array
from rtrecon.session.session import Session
from rtrecon.session.summary import summarize_session
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.sources.video import join_side_by_side, write_movie

SEEN_FIELD_FILE = "seen_field.png"
_SCALE = 6  # screen pixels per movie pixel in the video file
_MIN_HEALTH_MESSAGES = 4  # fewer do not show whether memory grows


def summarize_demo(
    session: Session, start_s: float, measured: dict[str, Any]
) -> dict[str, Any]:
    """Return the session's figures and those that only the demo can measure.

    start_s: wall clock at the user's command. measured: counts of the sender and the
    display's memory.
    """
    published_s = np.asarray(session.movie["t_published_s"])
    extra: dict[str, Any] = {
        **measured,
        "first_movie_s": None,
        "movie_interval_ms": None,
        "memory_growth_mb": _measure_memory_growth(session),
    }
    if len(published_s) > 2:
        interval_ms = np.diff(published_s) * 1e3
        extra["first_movie_s"] = float(published_s[0] - start_s)
        extra["movie_interval_ms"] = {
            "p50": float(np.median(interval_ms)),
            "p99": float(np.percentile(interval_ms, 99)),
            "max": float(interval_ms.max()),
        }
    return summarize_session(session, extra)


def write_results(folder: Path, session: Session, summary: dict[str, Any]) -> None:
    """Write `summary.json`, `reconstruction.mp4` and `report.html` into the folder."""
    write_summary(folder, summary)
    movie = _make_comparison(session)
    if len(movie):
        write_movie(folder / "reconstruction.mp4", movie, rate_hz=RATE_HZ, scale=_SCALE)
    write_report(session.path, folder / "report.html")


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write `summary.json` into the folder."""
    text = json.dumps(summary, indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def write_seen_field(folder: Path, field: Array) -> None:
    """Write where the neurons look as a picture of the screen; bright = much.

    field (36, 64): 0 to 1.
    """
    large = field.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    imsave(folder / SEEN_FIELD_FILE, large, cmap="gray", vmin=0.0, vmax=1.0)


def _measure_memory_growth(session: Session) -> dict[str, float]:
    """Return by how much each process grew over the second half of the session."""
    growth_mb = {}
    for process in ("daemon", "inverter"):
        memory_mb = [h.memory_mb for h in session.health if h.process == process]
        if len(memory_mb) > _MIN_HEALTH_MESSAGES:
            growth_mb[process] = memory_mb[-1] - memory_mb[len(memory_mb) // 2]
    return growth_mb


def _make_comparison(session: Session) -> Array:
    """Return uint8 (T, height, width): stimulus left, final reconstruction right."""
    indices, movie = session.read_final_movie()
    table = session.stimulus
    stimulus = dict(
        zip(table["encoder_frame"].tolist(), table.read_values(), strict=True)
    )
    known = [i for i, index in enumerate(indices.tolist()) if index in stimulus]
    if not known:
        return movie
    shown = np.stack([stimulus[int(indices[i])] for i in known])
    return join_side_by_side(shown, movie[known])
