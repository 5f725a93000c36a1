"""The training report holds a picture and its numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.image import imread

from rtrecon.training.compact.fit import EpochProgress
from rtrecon.training.report import TrainingScores, report_paths, write_report

HISTORY = [
    EpochProgress(1, 50.0, 0.1),
    EpochProgress(2, 40.0, 0.25),
    EpochProgress(3, 39.0, 0.2),
]
R = np.array([0.2, 0.4, np.nan, 0.3])
CEILING = np.array([0.4, 0.5, 0.6, np.nan])


def write_and_read(tmp_path, ceiling, notices=()):
    path = tmp_path / "mouse.safetensors"
    write_report(path, TrainingScores(HISTORY, R, ceiling, notices))
    picture, numbers = report_paths(path)
    assert imread(picture).std() > 0.05
    return json.loads(numbers.read_text())


def test_the_numbers_are_those_of_the_scores(tmp_path):
    found = write_and_read(tmp_path, CEILING, ("running speed was not measured",))
    assert found == {
        "epochs": [
            {"epoch": 1, "training_loss": 50.0, "validation_r": 0.1},
            {"epoch": 2, "training_loss": 40.0, "validation_r": 0.25},
            {"epoch": 3, "training_loss": 39.0, "validation_r": 0.2},
        ],
        "validation_r": 0.3,
        "fraction_of_ceiling": pytest.approx(0.6 / 0.9),
        "r": [0.2, 0.4, None, 0.3],
        "ceiling": [0.4, 0.5, 0.6, None],
        "notices": ["running speed was not measured"],
    }


def test_an_unknown_ceiling_is_null(tmp_path):
    found = write_and_read(tmp_path, None)
    assert found["ceiling"] is None
    assert found["fraction_of_ceiling"] is None


def test_a_ceiling_of_zero_gives_no_fraction():
    assert TrainingScores(HISTORY, R, np.zeros(4)).fraction_of_ceiling is None


def test_report_files_are_named_after_the_checkpoint(tmp_path):
    names = [file.name for file in report_paths(tmp_path / "a.b.safetensors")]
    assert names == ["a.b-training.png", "a.b-training.json"]
