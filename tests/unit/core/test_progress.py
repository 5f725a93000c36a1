"""Durations as text."""

from __future__ import annotations

import pytest

from rtrecon.core.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (38.4, "38 s"),
        (60.0, "1 min"),
        (599.0, "10 min"),
        (3600.0, "1 h 0 min"),
        (5400.0, "1 h 30 min"),
    ],
)
def test_a_duration_is_given_in_its_natural_unit(seconds, text):
    assert format_duration(seconds) == text
