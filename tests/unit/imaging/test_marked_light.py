"""Frames that a digital line marks are found, and only these."""

from __future__ import annotations

import pytest

from rtrecon.config import LightSettings
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.timing.marked_light import MarkedLight

SETTINGS = LightSettings(stimulation_line=4, shutter_line=5, screen_line=6)
PERIOD_S = 1 / 30


def judge(light: MarkedLight, frame: int) -> str:
    return light.find_reason(frame * PERIOD_S, (frame + 1) * PERIOD_S).value


@pytest.mark.parametrize(
    ("line", "reason"),
    [(4, "stimulation light"), (5, "shutter closed"), (6, "screen light")],
)
def test_frames_are_rejected_by_cause_while_the_line_is_high(line, reason):
    light, found = MarkedLight(SETTINGS), []
    for frame in range(10):
        if frame == 3:
            light.add_edge(line, 1, 3.5 * PERIOD_S)
        if frame == 6:
            light.add_edge(line, 0, 5.9 * PERIOD_S)
        found.append(judge(light, frame))
    assert found == ["", "", "", reason, reason, reason, "", "", "", ""]
    assert light.n_late == 0


def test_a_pulse_shorter_than_a_frame_marks_its_frame():
    light = MarkedLight(SETTINGS)
    light.add_edge(4, 1, 2.4 * PERIOD_S)
    light.add_edge(4, 0, 2.5 * PERIOD_S)
    assert [judge(light, k) for k in range(4)] == ["", "", "stimulation light", ""]


def test_a_margin_marks_the_frames_beside():
    light = MarkedLight(SETTINGS.model_copy(update={"margin_s": PERIOD_S}))
    light.add_edge(4, 1, 2.4 * PERIOD_S)
    light.add_edge(4, 0, 2.5 * PERIOD_S)
    assert [bool(judge(light, k)) for k in range(5)] == [False, True, True, True, False]


def test_other_lines_mark_nothing():
    light = MarkedLight(SETTINGS)
    light.add_edge(9, 1, 0.0)
    light.add_edge(4, 0, 0.0)  # it was low before, too
    assert judge(light, 0) == ""
    assert MarkedLight(LightSettings()).find_reason(0.0, 1.0) is RejectionReason.NONE


def test_edges_that_arrive_after_their_frames_are_counted_and_reported_once():
    light = MarkedLight(SETTINGS)
    for frame in range(5):
        judge(light, frame)
    light.add_edge(4, 1, 3.5 * PERIOD_S)
    assert light.n_late == 2
    (notice,) = light.take_notices()
    assert "let the sender send an edge before the frame" in notice
    assert not light.take_notices()
