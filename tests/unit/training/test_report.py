"""The training report: every number in the picture is beside it, and is what it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.image import imread

from rtrecon.training.compact.fit import Progress
from rtrecon.training.report import Scores, report_files, write_report

HISTORY = [Progress(1, 50.0, 0.1), Progress(2, 40.0, 0.25), Progress(3, 39.0, 0.2)]
R = np.array([0.2, 0.4, np.nan, 0.3])
CEILING = np.array([0.4, 0.5, 0.6, np.nan])


def told(tmp_path, ceiling, notes=()):
    path = tmp_path / "mouse.safetensors"
    write_report(path, Scores(HISTORY, R, ceiling, notes))
    picture, numbers = report_files(path)
    assert imread(picture).std() > 0.05
    return json.loads(numbers.read_text())


def test_numbers_are_as_they_were(tmp_path):
    found = told(tmp_path, CEILING, ("running speed was not measured",))
    assert found == {
        "epochs": [
            {"epoch": 1, "misfit": 50.0, "validation_r": 0.1},
            {"epoch": 2, "misfit": 40.0, "validation_r": 0.25},
            {"epoch": 3, "misfit": 39.0, "validation_r": 0.2},
        ],
        "validation_r": 0.3,
        "fraction_of_ceiling": pytest.approx(0.6 / 0.9),
        "r": [0.2, 0.4, None, 0.3],
        "ceiling": [0.4, 0.5, 0.6, None],
        "notes": ["running speed was not measured"],
    }


def test_a_ceiling_that_is_not_known_is_left_out(tmp_path):
    found = told(tmp_path, None)
    assert found["ceiling"] is None
    assert found["fraction_of_ceiling"] is None


def test_a_ceiling_of_nothing_is_no_fraction():
    assert Scores(HISTORY, R, np.zeros(4)).fraction_of_ceiling is None


def test_names_follow_the_checkpoint(tmp_path):
    names = [file.name for file in report_files(tmp_path / "a.b.safetensors")]
    assert names == ["a.b-training.png", "a.b-training.json"]
