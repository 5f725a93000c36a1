"""Encoders of other subjects: trained, stored with what makes their neurons again."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.analysis.evaluation.simulated_rig import SimulatedRig
from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.demo.rig import read_encoder_mouse
from rtrecon.encoder.card import read_card
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.simulate.training_movie import MovieFolders
from rtrecon.sources.video import write_movie
from rtrecon.training import SimulatedTraining, train_on_simulation
from rtrecon.training.compact.fit import TrainingRecipe
from tests.support.paths import REPOSITORY
from tests.support.quick_calibration import calibrate_quickly
from tests.support.sensorium_checkpoint import make_weights, write_checkpoint

SECONDS = 30.0


@pytest.fixture(scope="module", autouse=True)
def _short_preparation(short_preparation):
    """Making the neurons would otherwise take most of the time."""


@pytest.fixture(scope="module")
def neurons(tmp_path_factory):
    weights = make_weights(n_layers=3)  # the smaller of the two architectures
    return write_checkpoint(tmp_path_factory.mktemp("neurons") / "neurons.pth", weights)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    noise = np.random.default_rng(0).integers(0, 255, (200, 72, 128)).astype(np.uint8)
    write_movie(folder / "noise.mp4", noise, 30.0, scale=1)
    return folder


@pytest.fixture(scope="module")
def encoder(neurons, videos, tmp_path_factory):
    """An encoder of neurons from a file, trained on a session that shows a video."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("encoder") / "neurons.safetensors"
    subject = SubjectOptions(f"sensorium:{neurons}", n_neurons=30, spread=2.0)
    plan = SimulatedTraining(
        SECONDS / 60, ImagedMouseOptions(subject, side_px=96), MovieFolders(videos)
    )
    recipe = TrainingRecipe(epochs=2, batch_frames=200)
    with calibrate_quickly():
        train_on_simulation(plan, recipe, Settings(), path, lambda *_: None)
    return path


def test_the_encoder_stores_its_neurons_and_its_movie(encoder, neurons):
    stored = read_card(encoder).metadata["simulated"]
    assert stored["subject"] == f"sensorium:{neurons}"
    assert len(stored["file_sha256"]) == 64
    assert stored["spread"] == 2.0
    assert stored["movies"] == {"videos": 1, "generated scenes": 5}
    assert stored["files"] == ["noise.mp4"]


def test_the_rig_shows_movies_to_the_same_neurons(encoder):
    rig = SimulatedRig.for_encoder(read_card(encoder), 0)
    flicker = np.random.default_rng(0).integers(0, 255, (30, 36, 64)).astype(np.uint8)
    (clip,) = rig.show_movie(flicker, 30, lambda *_: None)
    assert clip.target.activity.shape == (30, 30)
    assert rig.map_seen_field().shape == (36, 64)
    (other,) = rig.with_another_mouse().show_movie(flicker, 30, lambda *_: None)
    assert not np.array_equal(clip.target.activity, other.target.activity)


def test_the_demo_finds_the_file_where_the_user_says_it_is(encoder, neurons, tmp_path):
    moved = tmp_path / "moved.pth"
    moved.write_bytes(neurons.read_bytes())
    options = read_encoder_mouse(str(encoder), f"sensorium:{moved}")
    assert options.subject.subject == f"sensorium:{moved}"
    with pytest.raises(UserError, match=r"trained on subject sensorium:.*, not on sim"):
        read_encoder_mouse(str(encoder), "simulated")


def test_a_changed_or_missing_file_is_refused(encoder, tmp_path):
    card = read_card(encoder)
    other = write_checkpoint(tmp_path / "other.pth", make_weights(n_neurons=50))
    rig = SimulatedRig.for_encoder(card, 0, f"sensorium:{other}")
    with pytest.raises(UserError, match="is not the file whose neurons"):
        rig.map_seen_field()
    rig = SimulatedRig.for_encoder(card, 0, f"sensorium:{tmp_path / 'gone.pth'}")
    with pytest.raises(UserError, match=r"gone.pth cannot be read: .*--subject"):
        rig.map_seen_field()


def test_an_encoder_without_known_neurons_is_refused(encoder):
    card = replace(read_card(encoder), metadata={"simulated": {"side_px": 96}})
    with pytest.raises(UserError, match="was not trained on a simulated mouse"):
        SimulatedRig.for_encoder(card, 0)


def test_the_example_on_the_page_runs():
    page = (REPOSITORY / "docs" / "subjects.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["response"].rate.shape == (300, 100)
