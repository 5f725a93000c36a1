"""Sums up a traced film in a few sentences for the user."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rtrecon.analysis.dish.trace_film import TracedFilm
from rtrecon.core.progress import format_duration
from rtrecon.dish.dish_frame import DishFrame
from rtrecon.dish.events import DishEvent, DishEventKind

_END_FRAMES = 3  # averaged at the start and at the end


def list_events(traced: TracedFilm) -> list[tuple[float, DishEvent]]:
    """Return (time in s, event) of a film, in order."""
    return [(frame.t_s, event) for frame in traced.frames for event in frame.events]


def summarize_film(traced: TracedFilm) -> list[str]:
    """Return sentences: length of the film, growth, touches, and what went wrong."""
    good = [frame for frame in traced.frames if frame.is_traced]
    duration_s = traced.frames[-1].t_s - traced.frames[0].t_s
    n_frames = len(traced.frames)
    sentences = [
        f"{n_frames} pictures in {format_duration(duration_s)}; {len(good)} traced.",
        *_explain_gaps(traced),
        _summarize_growth(good),
        _summarize_contacts(traced, good[-1]),
        _summarize_bodies(traced, good[-1]),
    ]
    if any(frame.is_dense for frame in good):
        n_dense = sum(frame.is_dense for frame in good)
        sentences.append(f"{n_dense} pictures are too dense: owners are not claimed.")
    return [*filter(None, sentences), *traced.notices]


def _explain_gaps(traced: TracedFilm) -> list[str]:
    """Return for each reason how many pictures were not traced."""
    reasons = Counter(f.notices[0] for f in traced.frames if not f.is_traced)
    return [f"{n} not traced: {reason}." for reason, n in reasons.items()]


def _summarize_growth(good: list[DishFrame]) -> str:
    start, end = (
        float(np.mean([frame.figures.length_mm_per_mm2 for frame in part]))
        for part in (good[:_END_FRAMES], good[-_END_FRAMES:])
    )
    total_mm = good[-1].figures.length_um / 1000
    return (
        f"Neurites: {start:.2f} mm per mm2 at the start, {end:.2f} at the end "
        f"({total_mm:.2f} mm in the field)."
    )


def _summarize_contacts(traced: TracedFilm, last: DishFrame) -> str:
    kinds = [event.kind for _, event in list_events(traced)]
    n_pairs = len({(c["first"], c["second"]) for c in last.confirmed_contacts})
    return (
        f"{kinds.count(DishEventKind.CONTACT)} touches formed and "
        f"{kinds.count(DishEventKind.CONTACT_LOST)} were lost; at the end "
        f"{last.figures.n_contacts} touches join {n_pairs} pairs of neurons. A touch "
        "is seen in one plane: it is no synapse."
    )


def _summarize_bodies(traced: TracedFilm, last: DishFrame) -> str:
    kinds = [event.kind for _, event in list_events(traced)]
    parts = [f"{last.figures.n_bodies} cell bodies at the end"]
    for kind, words in (
        (DishEventKind.NEW_BODY, "appeared"),
        (DishEventKind.DEATH, "disappeared"),
    ):
        if kinds.count(kind):
            parts.append(f"{kinds.count(kind)} {words}")
    n_retractions = kinds.count(DishEventKind.RETRACTION)
    if n_retractions:
        parts.append(f"{n_retractions} retractions")
    return f"{'; '.join(parts)}."
