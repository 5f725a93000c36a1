"""The window of sound and touch uses their words and units, not those of movies."""

from __future__ import annotations

import pytest

from rtrecon.display.space_words import (
    describe_course,
    describe_metric,
    describe_sd,
    label_metric,
    name_reconstruction,
)
from rtrecon.metrics.live_metrics import DISPLAYED_METRICS
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.touch import TOUCH
from rtrecon.stimulus_space.video import VIDEO


def test_an_error_has_the_unit_of_the_sense():
    assert describe_sd(32.0, VIDEO) == "± 32 levels"
    assert describe_sd(32.0, SOUND) == "± 11 dB"
    assert describe_sd(32.0, TOUCH) == "± 1 s.d."


def test_the_rows_of_a_course_are_described():
    assert describe_course(VIDEO, 3.0) == ""
    assert describe_course(SOUND, 3.0) == "rows: frequency 250 Hz to 8000 Hz, 3 s"
    assert describe_course(TOUCH, 3.0) == "a line for each whisker, 3 s"


@pytest.mark.parametrize("space", [SOUND, TOUCH])
def test_no_label_names_pixels_screen_or_movie(space):
    for metric in DISPLAYED_METRICS:
        if metric.needs_picture:
            continue
        text = f"{label_metric(metric, space)} {describe_metric(metric, space)}"
        for word in ("pixel", "screen", "visual", "movie", "look"):
            assert word not in text
    assert name_reconstruction(space) == "reconstruction"


def test_movies_keep_their_words():
    for metric in DISPLAYED_METRICS:
        assert label_metric(metric, VIDEO) == metric.label
        assert describe_metric(metric, VIDEO) == metric.description
    assert name_reconstruction(VIDEO) == "movie"
