"""Adapting a published encoder: missing behavior, and requests that are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.cli import training as commands
from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import ActivityRow
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training import adapt
from tests.support import dwiseneuro_live_world as world
from tests.support.dwiseneuro_live_world import MEAN_BEHAVIOR, N_NEURONS
from tests.support.session_tables import make_about

FRAMES, STRIDE_FRAMES = 90, 32
IDS = (100 + np.arange(N_NEURONS)).tolist()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def ignore_progress(*_):
    """Ignore progress."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return world.write_sensorium_folder(
        tmp_path_factory.mktemp("sensorium") / "mouse", n_train=2, n_frames=100
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return world.save_network(tmp_path_factory.mktemp("published") / "model.pth")


def record_session(path, with_center, n_frames=700):
    """Record random activity and the behavior of the world.

    with_center: whether the pupil center was measured.
    """
    rng = np.random.default_rng(0)
    activity = rng.random((n_frames, N_NEURONS), np.float32)
    images = rng.integers(0, 255, (n_frames, *IMAGE_SHAPE), np.uint8)
    behavior = world.unstandardize_behavior(world.make_behavior(n_frames))
    measured = slice(None) if with_center else slice(2)
    ids = {"neuron_ids": IDS, "roi_ids": []}
    recorder = Recorder(path, make_about(rate_unit="spikes per bin", **ids))
    for index, values in enumerate(activity):
        row = ActivityRow(index, index, *behavior[index, measured].tolist())
        recorder.add_activity(row, values)
        recorder.add_stimulus(index, images[index])
    recorder.close()
    return recorder.path


@pytest.mark.parametrize("with_center", [True, False])
def test_behavior_that_was_never_measured_takes_the_encoders_mean(
    tmp_path, with_center
):
    session = record_session(tmp_path, with_center)
    data = adapt.recorded.read_training_data(session)
    mouse = Mouse(0, N_NEURONS, "", (1.0, 2.0, 3.0, 4.0))
    model = replace(world.make_models()[0], mouse=mouse)
    found = adapt._fill_behavior_mean(model, data).behavior_mean.tolist()
    own = MEAN_BEHAVIOR if with_center else (*MEAN_BEHAVIOR[:2], 3.0, 4.0)
    assert found == pytest.approx(own, abs=1)


def run_adapt(published, folder, out, **changes):
    plan = adapt.AdaptRequest([published], out, **{"max_frames": 90, **changes})
    return adapt.adapt_to_sensorium(plan, folder, ignore_progress)


# changes to a plan -> words of the sentence
MISTAKES = {
    "few frames": ({"max_frames": 10}, "10 frames are too few .* give 90 or more"),
    "wide windows": ({"stride_frames": 33}, "every 33 frames .* give 1 to 32"),
    "no windows": ({"stride_frames": 0}, "every 0 frames"),
    "another mouse": ({"mouse": "7"}, "no readout for mouse 7"),
    "no GPU": ({"device": "cuda"}, "torch finds none here"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_wrong_request_raises_a_sentence(
    published, folder, tmp_path, case, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    changes, words = MISTAKES[case]
    with pytest.raises(UserError, match=words):
        run_adapt(published, folder, tmp_path / "out.safetensors", **changes)


def test_exactly_one_of_folder_and_session_is_needed(published, folder, tmp_path):
    for given in ({}, {"sensorium": folder, "session": tmp_path}):
        with pytest.raises(UserError, match="either --sensorium or --session"):
            commands.adapt([published], tmp_path / "out.safetensors", **given)


# the model changed -> words of the sentence; the folder is called "mouse"
OTHER_RECORDINGS = {
    "fewer neurons": (
        {"neuron_ids": torch.arange(7)},
        "{}",
        "predicts 7 neurons .* the recording has 40",
    ),
    "other neurons": (
        {"neuron_ids": 200 + torch.arange(N_NEURONS)},
        "{}",
        "expects neuron 200 at index 0, but the recording has 100",
    ),
    "another mouse's folder": (
        {"mouse": Mouse(0, N_NEURONS, "29515-10-12", MEAN_BEHAVIOR)},
        '{"sensorium": "dynamic29623-4-9-Video-9b4f"}',
        r"mouse 0 \(29515-10-12\), but the folder is that of mouse 1 \(29623-4-9\)",
    ),
    "another rate": ({}, '{"rate_hz": 15.0}', "has 15 frames per second"),
}


@pytest.mark.parametrize("case", OTHER_RECORDINGS)
def test_a_recording_of_other_neurons_is_refused(folder, case):
    changes, meta, words = OTHER_RECORDINGS[case]
    data = adapt.sensorium.read_training_data(
        adapt.SensoriumFolder(folder), ignore_progress
    )
    changed = replace(data, metadata={**data.metadata, **json.loads(meta)})
    model = replace(world.make_models()[0], **changes)
    with pytest.raises(UserError, match=words):
        adapt._require_same_recording(model, changed)
