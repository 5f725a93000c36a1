"""A simulated training that cannot work is refused before any work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.training import SimulatedTraining, train_on_simulation
from rtrecon.training.compact.fit import TrainingRecipe


def train_tiny(path: Path, minutes=0.5, neurons=30, epochs=2):
    """Train at 96 px; fail if any progress was reported before the error."""
    mouse = ImagedMouseOptions(SubjectOptions(n_neurons=neurons), side_px=96)
    plan = SimulatedTraining(minutes, mouse)
    reported: list[tuple[str, float, str]] = []
    try:
        train_on_simulation(
            plan,
            TrainingRecipe(epochs, batch_frames=200),
            Settings(),
            path,
            lambda *progress: reported.append(progress),
        )
    except UserError as error:
        assert not reported, "the plan was refused only after some work"
        raise error


# Name -> the changed arguments, a pattern of the error.
REFUSED = {
    "too short": ({"minutes": 0.49}, r"0.49 minutes is too short .*; give 0.5 or more"),
    "no time": ({"minutes": 0}, r"0 minutes is too short"),
    "negative time": ({"minutes": -3}, r"-3 minutes is too short"),
    "no number": ({"minutes": float("nan")}, r"nan minutes is too short"),
    "no epochs": ({"epochs": 0}, "epochs = 0 trains nothing; give 1 or more"),
    "too many neurons": ({"neurons": 400}, "400 neurons do not fit .* 96 x 96 px"),
    "no neurons": ({"neurons": 0}, "0 neurons are too few; give 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_impossible_plan_is_refused_at_the_start(tmp_path, case):
    changes, pattern = REFUSED[case]
    with pytest.raises(UserError, match=pattern):
        train_tiny(tmp_path / "none.safetensors", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_refused_as_output(tmp_path):
    with pytest.raises(UserError, match="is a folder; give a file"):
        train_tiny(tmp_path)
