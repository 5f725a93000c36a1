"""The odour of docs/how-to/another-sense.md goes through the whole package."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rtrecon.analysis.evaluation.replay_runner import ReplayRunner
from rtrecon.analysis.evaluation.sensory_rig import SensoryRig
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ignore_progress
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.jobs import ReconstructionJob, run_job
from rtrecon.inversion.offline.live_and_map import reconstruct_live
from rtrecon.inversion.offline.results import Reconstruction, write_reconstruction
from rtrecon.simulate import senses
from rtrecon.simulate.sensory_session import SensoryOptions
from rtrecon.sources.stimulus_file import read_stimulus_file
from rtrecon.stimulus_space import registry
from rtrecon.stimulus_space.course import make_course
from rtrecon.training import SensoryTraining, train_on_sense
from rtrecon.training.compact.fit import TrainingRecipe
from tests.support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "another-sense.md"
MODULES = "rtrecon.stimulus_space.odour", "rtrecon.simulate.olfactory_bulb"


def load_module(name: str, file: Path, text: str) -> ModuleType:
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def odour(tmp_path_factory) -> Iterator[ModuleType]:
    """The page's two modules, and its two entries in the registries."""
    folder = tmp_path_factory.mktemp("page")
    text = PAGE.read_text(encoding="utf-8")
    space, named, neurons, entry = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {**vars(registry), **vars(senses)}
    names["read_stimulus_file"] = read_stimulus_file
    names |= vars(load_module(MODULES[0], folder / "odour.py", space))
    names |= vars(load_module(MODULES[1], folder / "bulb.py", neurons))
    exec(named + entry, names)  # the text of our own page
    yield sys.modules[MODULES[0]]
    del registry.SPACES["odour"], senses.SENSES["odour"]
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def checkpoint(odour, tmp_path_factory) -> Checkpoint:
    file = tmp_path_factory.mktemp("odour") / "odour.safetensors"
    plan = SensoryTraining(SensoryOptions("odour", 60), minutes=3.0)
    recipe = TrainingRecipe(epochs=4, batch_frames=300)
    train_on_sense(plan, recipe, file, ignore_progress)
    return load_checkpoint(file)


@pytest.fixture(scope="module")
def clip(checkpoint) -> Clip:
    rig = SensoryRig.for_encoder(checkpoint.card, 1)
    [clip] = rig.show_movie(rig.make_stimulus(600), 600, ignore_progress)
    return clip


def test_the_reconstruction_of_the_odour_is_better_than_the_null(checkpoint, clip):
    runner = ReplayRunner.create(checkpoint, 1)
    frames = slice(40, 540)
    r, null_r = (
        np.corrcoef(movie[frames].ravel(), clip.stimulus[frames].ravel())[0, 1]
        for movie in (
            reconstruct_live(checkpoint, target, 6).final
            for target in (clip.target, runner.exchange_neurons(clip.target))
        )
    )
    assert r > 0.5
    assert r > null_r + 0.3


def test_the_space_says_how_the_odour_is_drawn_saved_and_named(odour, clip, tmp_path):
    space = odour.ODOUR
    levels = clip.stimulus.astype(np.uint8)
    assert space.axes[0].describe_position(0) == "geraniol"
    first = make_course(list(levels[:50]), space)[:, 0]
    assert np.count_nonzero(first == 255) == 12  # a line for each odorant
    write_reconstruction(tmp_path, clip, Reconstruction(clip.stimulus, {}))
    stored = read_stimulus_file(tmp_path / "reconstruction.npy", space)
    np.testing.assert_array_equal(stored, levels)
    assert senses.find_sense("odour").read_stimulus(
        tmp_path / "stimulus.npy"
    ).levels.shape == (600, 12, 1)


def test_an_encoder_of_odour_reconstructs_from_the_command(checkpoint, clip, tmp_path):
    job = ReconstructionJob(
        replace(clip, name="puffs"), "live", 2, checkpoint.card.path, tmp_path / "r.st"
    )
    run_job(job)
    assert job.file.is_file()


def test_an_odour_for_an_encoder_of_touch_is_refused(clip, tmp_path):
    with pytest.raises(UserError, match=r"stimulus of odour .* trained on touch"):
        run_job(
            ReconstructionJob(clip, "live", 2, Path("demo-touch"), tmp_path / "r.st")
        )


def test_the_page_lists_the_files_of_a_new_sense():
    rows = re.findall(r"^\| `(rtrecon/[a-z_/]+\.py)` \|", PAGE.read_text(), re.M)
    new = {f"{name.replace('.', '/')}.py" for name in MODULES}
    changed = {file for file in rows if (REPOSITORY / file).exists()}
    assert set(rows) - changed == new
    assert changed == {
        "rtrecon/stimulus_space/registry.py",
        "rtrecon/simulate/senses.py",
    }
