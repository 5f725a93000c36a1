"""The public interface: load an encoder of either kind and predict rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder import api
from rtrecon.encoder.api import load_encoder
from rtrecon.encoder.checkpoint import load_checkpoint, save_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.inference import load_dwiseneuro
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import FLOAT32_TOLERANCE, make_trial
from tests.support.trained_encoder import make_untrained_checkpoint

IDS = [7, 3, 12]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "small.safetensors"
    save_checkpoint(make_untrained_checkpoint(path, IDS, (20, 30)))
    return path


@pytest.fixture(scope="module")
def dwiseneuro_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dwiseneuro_world.write_author_file(tmp_path_factory.mktemp("api") / "a.pth")


def test_the_shipped_encoder_predicts_a_rate_per_neuron_and_frame():
    encoder = load_encoder("demo")
    rates = encoder.predict(np.full((40, *encoder.image_shape), 127.0))
    assert rates.shape == (40, encoder.n_neurons)
    assert rates.dtype == np.float32
    assert (rates > 0).all()
    # A gray movie never changes, and before it the same gray is assumed.
    np.testing.assert_allclose(rates, rates[:1].repeat(40, 0), rtol=1e-4)


def test_a_checkpoint_states_its_neurons_rate_and_image_shape(checkpoint_path):
    encoder = load_encoder(checkpoint_path)
    assert encoder.neuron_ids.tolist() == IDS
    assert encoder.rate_hz == 30
    assert encoder.image_shape == (36, 64)


@pytest.mark.parametrize("n_frames", [1, 50, 1000])
def test_rates_of_a_compact_encoder_equal_those_of_the_whole_movie(
    checkpoint_path, n_frames: int
):
    video, behavior = make_trial(n_frames)
    rates = load_encoder(checkpoint_path).predict(video.numpy(), behavior.numpy())
    checkpoint = load_checkpoint(checkpoint_path)
    compact = checkpoint.require_compact()
    before = video[:1].expand(compact.past_frames, -1, -1)
    frames = make_dct_basis().from_pixels(torch.cat([before, video]).numpy())
    standardized = checkpoint.calibration.standardize_behavior(behavior)
    expected = compact.predict(frames, standardized)
    # Products of float32 matrices of other sizes: sums of 474 terms in another order.
    np.testing.assert_allclose(rates, expected, rtol=1e-3)


def test_missing_behavior_counts_as_its_mean(checkpoint_path):
    encoder, movie = load_encoder(checkpoint_path), make_trial(30)[0].numpy()
    mean = load_checkpoint(checkpoint_path).calibration.behavior_mean.numpy()
    expected = encoder.predict(movie, np.tile(mean, (30, 1)))
    np.testing.assert_allclose(encoder.predict(movie), expected, rtol=1e-5)


@pytest.mark.parametrize(("n_frames", "segment_frames"), [(32, 120), (45, 7)])
def test_rates_of_dwiseneuro_equal_those_of_the_whole_movie(
    dwiseneuro_path, monkeypatch, n_frames: int, segment_frames: int
):
    monkeypatch.setattr(api, "_DWISENEURO_SEGMENT_FRAMES", segment_frames)
    video, behavior = make_trial(n_frames)
    encoder = load_encoder(dwiseneuro_path, 1)
    assert (encoder.n_neurons, encoder.rate_hz) == (4, 30)
    rates = encoder.predict(video.numpy(), behavior.numpy())
    expected = load_dwiseneuro([dwiseneuro_path], 1).predict_rates(video, behavior)
    np.testing.assert_allclose(rates, expected, **FLOAT32_TOLERANCE)


# shape of the movie, of behavior -> part of the error
REFUSED = {
    "another size": ((40, 48, 64), None, r"shape \(40, 48, 64\); give \(frames, 36,"),
    "one image": ((36, 64), None, r"the movie has shape \(36, 64\)"),
    "no frames": ((0, 36, 64), None, "one frame or more"),
    "two behavior values": ((40, 36, 64), (40, 2), r"give \(40, 4\): pupil_dilation"),
    "behavior of fewer frames": ((40, 36, 64), (39, 4), r"shape \(39, 4\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_input_of_another_shape_is_refused(checkpoint_path, case: str):
    movie, behavior, words = REFUSED[case]
    given = None if behavior is None else np.zeros(behavior)
    with pytest.raises(UserError, match=words):
        load_encoder(checkpoint_path).predict(np.zeros(movie), given)


def test_dwiseneuro_needs_32_frames(dwiseneuro_path):
    with pytest.raises(UserError, match=r"needs 32 frames or more .* has 31"):
        load_encoder(dwiseneuro_path, 0).predict(make_trial(31)[0].numpy())
