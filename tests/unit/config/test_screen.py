"""Settings of the screen, and of light that is not activity."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rtrecon.config import LightSettings, ScreenSettings


def test_two_kinds_of_light_need_two_lines():
    with pytest.raises(ValidationError, match="two kinds of light have the same line"):
        LightSettings(stimulation_line=4, shutter_line=4)
    LightSettings(stimulation_line=4, shutter_line=5)


def test_gamma_is_an_exponent_or_a_measured_table():
    assert ScreenSettings(gamma=2.2).gamma == 2.2
    assert ScreenSettings(gamma=[0.1, 5.0, 80.0]).gamma == [0.1, 5.0, 80.0]
    for wrong in (0.0, [1.0], [-1.0, 2.0]):
        with pytest.raises(ValidationError):
            ScreenSettings(gamma=wrong)
