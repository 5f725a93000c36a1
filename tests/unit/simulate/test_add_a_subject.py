"""The worked example in docs/how-to/add-a-subject.md runs as it is written."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from rtrecon.simulate.behavior import BehaviorTraces
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.subjects import registry
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.simulate.trial import simulate_trial
from tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "add-a-subject.md"


@pytest.fixture
def flicker(tmp_path, monkeypatch):
    """Write the page's neurons to a module and put the page's entry in the registry."""
    neurons, entry = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (tmp_path / "flicker.py").write_text(neurons)
    monkeypatch.syspath_prepend(tmp_path)
    entry = entry.replace("rtrecon.simulate.subjects.flicker", "flicker")
    new = eval(entry, {"SubjectKind": registry.SubjectKind})
    monkeypatch.setattr(registry, "SUBJECTS", (*registry.SUBJECTS, new))
    yield
    sys.modules.pop("flicker", None)


@pytest.mark.usefixtures("flicker")
def test_the_new_subject_is_made_by_its_name():
    movie = make_natural_movie(60, seed=1)
    subject = registry.make_subject(SubjectOptions("flicker", n_neurons=50), movie)
    calm = BehaviorTraces(*np.zeros((3, 60), np.float32))
    response = simulate_trial(subject, movie, calm, seed=0)
    assert response.spikes.shape == (60, 50)
    brightness = movie.mean((1, 2))
    np.testing.assert_allclose(
        response.rate.sum(1) * RATE_HZ / brightness,
        subject.mean_rate_hz.sum() / 128,
        rtol=1e-5,
    )
    assert "`flicker`" in registry.render_subject_table()
