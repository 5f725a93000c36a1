"""Files of an interrupted evaluation: stored, found again, and refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.analysis.evaluation.plan import EvaluationPlan
from rtrecon.analysis.evaluation.unfinished import UnfinishedFiles
from rtrecon.core.errors import UserError

JOB = {"session": "mouse7", "seed": 1}
PLAN = EvaluationPlan(3, 1)


@pytest.fixture
def interrupted(tmp_path):
    """Files of an evaluation that stored one clip."""
    files = UnfinishedFiles(tmp_path, JOB, resume=False)
    files.save_plan(PLAN)
    files.save_clip("12.5% of the neurons", 2, {"movie": np.arange(3.0)})
    return files


def test_a_resumed_evaluation_finds_plan_and_clips(interrupted, tmp_path):
    resumed = UnfinishedFiles(tmp_path, JOB, resume=True)
    assert resumed.plan == PLAN
    stored = resumed.load_clip("12.5% of the neurons", 2)
    np.testing.assert_array_equal(stored["movie"], np.arange(3.0))
    assert resumed.load_clip("12.5% of the neurons", 1) is None


def test_an_interrupted_evaluation_is_not_overwritten(interrupted, tmp_path):
    with pytest.raises(UserError, match="continue it with --resume"):
        UnfinishedFiles(tmp_path, JOB, resume=False)


def test_files_of_another_request_are_refused(interrupted, tmp_path):
    with pytest.raises(UserError, match="has seed = 1, but now it is 2"):
        UnfinishedFiles(tmp_path, {**JOB, "seed": 2}, resume=True)


def test_a_damaged_clip_is_replayed_again(interrupted, tmp_path):
    (file,) = (tmp_path / "unfinished").glob("*.npz")
    file.write_bytes(file.read_bytes()[:50])
    assert interrupted.load_clip("12.5% of the neurons", 2) is None


def test_a_damaged_plan_is_refused_with_a_sentence(interrupted, tmp_path):
    (tmp_path / "unfinished" / "plan.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read; delete the folder"):
        UnfinishedFiles(tmp_path, JOB, resume=True)


def test_nothing_remains_of_a_complete_evaluation(interrupted, tmp_path):
    interrupted.delete()
    assert not list(tmp_path.iterdir())
    assert UnfinishedFiles(tmp_path, JOB, resume=False).plan is None
