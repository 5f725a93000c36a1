"""The screen of the stimulus in NWB: its settings, and when pictures appeared."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pynwb import NWBFile, TimeSeries
from pynwb.device import Device

from rtrecon.export.series_data import describe_times
from rtrecon.session.clock import SessionClock
from rtrecon.session.session import Session
from rtrecon.stimulus_space.viewing import FlatScreen


def add_screen(file: NWBFile, session: Session, clock: SessionClock) -> None:
    """Add the settings of the screen as a device, and the delays of its pictures."""
    given = {
        name: value
        for name, value in session.about.settings.get("screen", {}).items()
        if value is not None
    }
    if given:
        facts = given | _describe_angles(given, session)
        file.add_device(Device(name="screen", description=json.dumps(facts)))
    if session.onsets is None:
        return
    t_sent_s, t_onset_s = (
        session.onsets[name].astype(float) for name in ("t_sent_s", "t_onset_s")
    )
    is_shown = np.isfinite(t_onset_s)
    if is_shown.any():
        file.add_acquisition(
            TimeSeries(
                name="picture_onsets",
                description="when a photodiode saw each picture of the stimulus "
                "appear, and how long after the time that its sender gave",
                data=(t_onset_s - t_sent_s)[is_shown],
                unit="s",
                **describe_times(clock.from_microscope(t_onset_s[is_shown])),
            )
        )


def _describe_angles(given: dict[str, Any], session: Session) -> dict[str, Any]:
    if not {"size_cm", "distance_cm"} <= given.keys():
        return {}
    width_cm, height_cm = given["size_cm"]
    lines, pixels = session.about.stimulus_space.shape
    screen = FlatScreen(width_cm, height_cm, given["distance_cm"])
    down, across = screen.degrees_per_pixel((lines, pixels))
    return {"degrees_per_pixel": [round(down, 3), round(across, 3)]}
