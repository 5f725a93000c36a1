"""A recorded session of neurons in a dish in which every value is known.

Picture i shows neuron 1, whose neurite is 10 i um long, and neuron 2; they touch from
picture 2 on. Each stage position is recorded alike; picture 1 could not be traced.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rtrecon import config
from rtrecon.config import LiveDishSettings, Settings
from rtrecon.protocol import messages
from rtrecon.session.about import DishAbout
from rtrecon.session.dish_tables import (
    DishBodyRow,
    DishContactRow,
    DishEventRow,
    DishRow,
    DishTraceRow,
)
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import FrameRow
from tests.support import session_tables

SHAPE, INTERVAL_S, T0_S, UM_PER_PX = (40, 60), 600.0, 50.0, 0.8
N_PICTURES, UNTRACED, FIRST_TOUCH = 5, 1, 2
BODIES_PX = {1: (10, 10), 2: (30, 50)}  # number: y, x
EVENT_KINDS = ["contact", "contact_lost", "retraction"]


def record_dish(folder: Path, n_planes: int = 1) -> Path:
    """Record the session as the daemon does; return its folder."""
    recorder = Recorder(folder, make_dish_about(n_planes))
    wall_s = recorder.path.stat().st_ctime + 1.0
    for i in range(N_PICTURES):
        for plane in range(n_planes):
            _record_picture(recorder, i, plane, wall_s + i * INTERVAL_S)
    event = messages.Event(
        session="s", seq=0, t=wall_s, name="contact", message="neurons 1 and 2 touch"
    )
    recorder.add_event(event)
    recorder.close()
    assert recorder.failure is None
    assert not recorder.n_lost
    return recorder.path


def make_dish_about(n_planes: int = 1):
    settings = Settings(dish=LiveDishSettings(enabled=True))
    return session_tables.make_about(
        roi_ids=[],
        neuron_ids=[],
        rate_hz=1 / INTERVAL_S,
        settings=json.loads(config.dump(settings)),
        dish=DishAbout(
            shape=SHAPE,
            view_shape=SHAPE,
            view_step_px=1,
            um_per_px=UM_PER_PX,
            interval_s=INTERVAL_S,
            n_planes=n_planes,
            event_kinds=EVENT_KINDS,
        ),
    )


def draw_owners(i: int) -> np.ndarray:
    """uint16 (lines, pixels): two bodies, and the neurite of neuron 1."""
    owners = np.zeros(SHAPE, np.uint16)
    for number, (y, x) in BODIES_PX.items():
        owners[y - 3 : y + 4, x - 3 : x + 4] = number
    owners[10, 14 : 14 + 8 * i] = 1
    return owners


def _record_picture(recorder: Recorder, i: int, plane: int, wall_s: float) -> None:
    t_s = T0_S + i * INTERVAL_S
    frame = FrameRow(
        frame=i + 1,
        seq=i,
        t_microscope_s=t_s,
        t_sent_s=wall_s,
        t_received_s=wall_s,
        shift_y_px=0.5,
        shift_x_px=-1.0,
        confidence=0.9,
        is_accepted=True,
        latency_ms=80.0,
        plane=plane,
    )
    recorder.add_frame(frame, (np.empty(0, np.float32),) * 3)
    key = i, i + 1, plane, t_s
    touches = int(i >= FIRST_TOUCH)
    row = DishRow(
        *key,
        bodies=len(BODIES_PX),
        contacts=touches,
        provisional_contacts=0,
        branch_points=0,
        length_um=10.0 * i,
        area_mm2=0.01,
        is_traced=i != UNTRACED,
        is_out_of_focus=i == UNTRACED,
        is_dense=False,
    )
    owners = draw_owners(i)
    recorder.add_dish_picture(row, np.where(owners > 0, 200, i).astype(np.uint8))
    recorder.add_dish_trace(DishTraceRow(*key), owners)
    if i == UNTRACED:
        return
    bodies = [
        DishBodyRow(
            *key, number, float(y), float(x), 31.4, 20.0, 10.0 * i * (number == 1),
            int(i > 0 and number == 1), touches, True,
        )
        for number, (y, x) in BODIES_PX.items()
    ]  # fmt: skip
    recorder.add_dish_rows("dish_bodies", bodies)
    if touches:
        contact = DishContactRow(
            *key, 1, 30.0, 46.0, 1, 2, True, True, FIRST_TOUCH, i, i - FIRST_TOUCH + 1
        )
        recorder.add_dish_rows("dish_contacts", [contact])
    if i == FIRST_TOUCH:
        event = DishEventRow(*key, 0, i, 30.0, 46.0, 1, 2)
        recorder.add_dish_rows("dish_events", [event])
