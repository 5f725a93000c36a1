"""The counts of a dish that the daemon published, rebuilt from a recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from rtrecon.protocol import messages
from rtrecon.protocol.dish_messages import MAX_NEURONS
from rtrecon.session.session import Session

_Key = tuple[int, int]  # picture, plane
_EVENT_FIELDS = {
    "contact": "new_contacts",
    "contact_lost": "lost_contacts",
    "retraction": "retractions",
    "new_body": "new_bodies",
    "death": "deaths",
}


def iterate_dish_counts(session: Session) -> Iterator[messages.DishCounts]:
    """Yield the counts of each picture, oldest first, without their notices."""
    table, frames = session.dish, session.frames
    received_s = {
        (int(frame), int(plane)): (t_s, t_s + latency_ms / 1000)
        for frame, plane, t_s, latency_ms in zip(
            *(frames[name] for name in ("frame", "plane", "t_received_s")),
            frames["latency_ms"],
            strict=True,
        )
    }
    events, neurons = _count_events(session), _list_neurons(session)
    newest: defaultdict[int, dict[str, messages.NeuronFigures]] = defaultdict(dict)
    for values in table.rows.tolist():
        row = dict(zip(table.columns, values, strict=True))
        key = int(row["picture"]), int(row["plane"])
        times_s = received_s.get((int(row["frame"]), key[1]))
        if times_s is None:  # the row of the frame was lost
            continue
        if row["is_traced"]:  # else the counts repeat those of the picture before
            newest[key[1]] = neurons.get(key, {})
        area_mm2, length_mm = row["area_mm2"], row["length_um"] / 1000
        yield messages.DishCounts(
            session=session.about.session,
            seq=0,
            t=float(times_s[1]),
            t_frame=float(times_s[0]),
            frame=int(row["frame"]),
            picture=key[0],
            plane=key[1],
            t_microscope=row["t_microscope_s"],
            bodies=int(row["bodies"]),
            contacts=int(row["contacts"]),
            provisional_contacts=int(row["provisional_contacts"]),
            branch_points=int(row["branch_points"]),
            length_mm=length_mm,
            length_mm_per_mm2=length_mm / area_mm2 if area_mm2 else 0.0,
            branch_points_per_mm2=row["branch_points"] / area_mm2 if area_mm2 else 0.0,
            area_mm2=area_mm2,
            is_traced=bool(row["is_traced"]),
            is_out_of_focus=bool(row["is_out_of_focus"]),
            is_dense=bool(row["is_dense"]),
            neuron=newest[key[1]],
            **events.get(key, {}),
        )


def _count_events(session: Session) -> dict[_Key, dict[str, Any]]:
    """Return the number of events of each kind, by picture and plane."""
    dish, table = session.about.dish, session.dish_events
    assert dish is not None
    counts: dict[_Key, Counter[str]] = {}
    columns = (table[name] for name in ("picture", "plane", "kind"))
    for picture, plane, kind in zip(*columns, strict=True):
        field = _EVENT_FIELDS.get(dish.event_kinds[int(kind)])
        if field is not None:
            key = int(picture), int(plane)
            counts.setdefault(key, Counter())[field] += 1
    return {key: dict(counter) for key, counter in counts.items()}


def _list_neurons(session: Session) -> dict[_Key, dict[str, messages.NeuronFigures]]:
    """Return the figures of the neurons by number, by picture and plane."""
    table = session.dish_bodies
    order = np.argsort(-table["length_um"], kind="stable")
    names = ("picture", "plane", "number", "length_um", "tips", "partners")
    found: dict[_Key, dict[str, messages.NeuronFigures]] = {}
    for picture, plane, number, length_um, tips, partners in zip(
        *(table[name][order].tolist() for name in names), strict=True
    ):
        neurons = found.setdefault((int(picture), int(plane)), {})
        if len(neurons) < MAX_NEURONS:
            figures = messages.NeuronFigures(length_um, int(tips), int(partners))
            neurons[str(int(number))] = figures
    return found
