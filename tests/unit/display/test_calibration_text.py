"""What the window writes in place of the movie while an encoder is trained."""

from __future__ import annotations

import pytest

from rtrecon.display.calibration_text import describe_calibration
from rtrecon.protocol import messages

BASE = {"session": "s", "seq": 0, "t": 0.0, "n_neurons": 100}
SCORES = {"n_responsive": 60, "response_r": 0.25}
LAG = {"n_following": 20, "lag_s": 0.11, "lag_error_s": 0.009}
MOVIE = {"movie_r": 0.31, "null_movie_r": -0.02}

# stage, minutes, further fields -> the lines
CASES = [
    (
        ("gathering", 0.5, {"missing": "1.5 more minutes are needed"}),
        "Calibrating: 0.5 min\ngathering minutes\n1.5 more minutes are needed",
    ),
    (
        ("gathering", 2.0, LAG),
        "Calibrating: 2.0 min\ngathering minutes\n"
        "activity follows the stimulus by 110 ± 9 ms",
    ),
    (
        ("gathering", 2.0, LAG | {"warning": "the banner shows it"}),
        "Calibrating: 2.0 min\ngathering minutes",
    ),
    (
        ("judging", 3.0, SCORES),
        "Calibrating: 3.0 min\njudging the encoder on clips kept out\n"
        "60 of 100 neurons respond, response r 0.25",
    ),
    (
        ("training", 4.0, SCORES | MOVIE | {"ceiling_share": 0.4}),
        "Calibrating: 4.0 min\ntraining the encoder\n"
        "60 of 100 neurons respond, response r 0.25 (40% of the ceiling), "
        "expected movie r 0.31 (null -0.02)",
    ),
]


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_the_progress_of_a_calibration_is_described(given, expected):
    stage, minutes, fields = given
    message = messages.Calibration(**BASE, stage=stage, minutes=minutes, **fields)
    assert describe_calibration(message) == expected
