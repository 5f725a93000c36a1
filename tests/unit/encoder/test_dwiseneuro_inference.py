"""DwiseNeuro on movies: windows, padding, blending, behavior, ensembles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.convert import convert_author_files
from rtrecon.encoder.dwiseneuro.inference import (
    DwiseNeuroEncoder,
    list_window_indices,
    load_dwiseneuro,
    pad_frames,
)
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.dwiseneuro.network import DwiseNeuro
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import (
    FLOAT32_TOLERANCE,
    N_NEURONS,
    make_trial,
    read_mouse_models,
)

KNOWN = Path("encoder/dwiseneuro_small.pth")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


# -- known predictions of the published encoder ------------------------------------


@pytest.fixture(scope="module")
def known(shared_data: Path) -> dict[str, np.ndarray]:
    """A trial as recorded, and the predictions for it."""
    file = shared_data / KNOWN.with_name("dwiseneuro_small_io.npz")
    if not file.is_file():
        pytest.skip(f"no known predictions at {file}")
    return dict(np.load(file))


def get_input(known: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Video and behavior of the trial, with time first."""
    behavior = np.concatenate([known["behavior"], known["pupil_center"]]).T
    video = known["video"].transpose(2, 0, 1)
    return torch.from_numpy(video.copy()), torch.from_numpy(behavior.copy())


@pytest.mark.parametrize("mouse", [0, 1])
def test_the_prediction_of_a_trial_is_the_known_one(shared_data, known, mouse: int):
    encoder = load_dwiseneuro([shared_data / KNOWN], mouse)
    rates = encoder.predict_rates(*get_input(known)).T
    expected = known[f"trial_readout{mouse}"]
    np.testing.assert_allclose(rates, expected, **FLOAT32_TOLERANCE)


@pytest.mark.parametrize("mouse", [0, 1])
def test_the_prediction_of_a_window_is_the_known_one(shared_data, known, mouse: int):
    encoder = load_dwiseneuro([shared_data / KNOWN], mouse)
    video, behavior = get_input(known)
    rates = encoder.predict_rates(video[:31], behavior[:31]).T[:, ::2]
    expected = known[f"window_readout{mouse}"]
    np.testing.assert_allclose(rates, expected, **FLOAT32_TOLERANCE)


# -- windows and blending ----------------------------------------------------------


def blend_one_by_one(
    network: DwiseNeuro, video: Tensor, behavior: Tensor, mouse: int
) -> Tensor:
    """The published rule, window by window: (T, n)."""
    n_frames = len(video)
    total, count = torch.zeros(n_frames, N_NEURONS[mouse]), torch.zeros(n_frames, 1)
    for last in range(30, n_frames):
        frames = list(range(last - 30, last + 1, 2))
        seen = torch.zeros(1, 1, 16, 64, 64)
        seen[0, 0, :, 14:50] = video[frames]
        planes = behavior[frames].T[None, :, :, None, None].expand(-1, -1, -1, 64, 64)
        total[frames] += network(seen, planes, mouse)[0].T
        count[frames] += 1
    return total / count.clamp(min=1)


@pytest.mark.parametrize("n_frames", [31, 32, 37])
def test_the_prediction_of_a_frame_is_the_mean_over_its_windows(n_frames: int):
    video, behavior = make_trial(n_frames)
    rates = DwiseNeuroEncoder(read_mouse_models(1)).predict_rates(video, behavior)
    network = dwiseneuro_world.make_network()
    expected = blend_one_by_one(network, video, behavior, 1)
    torch.testing.assert_close(rates, expected, **FLOAT32_TOLERANCE)


def test_windows_have_16_frames_two_frames_apart():
    found = list_window_indices(33)
    assert found.shape == (3, 16)
    assert found[0].tolist() == list(range(0, 31, 2))
    assert found[2].tolist() == list(range(2, 33, 2))


def test_frames_outside_of_all_windows_have_rate_zero():
    rates = DwiseNeuroEncoder(read_mouse_models()).predict_rates(*make_trial(31))
    assert (rates[1::2] == 0).all()
    assert (rates[::2].amax(1) > 0).all()


def test_a_prediction_depends_on_later_frames_of_its_window():
    encoder = DwiseNeuroEncoder(read_mouse_models())
    video, behavior = make_trial(32)
    video.requires_grad_(True)
    encoder.predict_rates(video, behavior)[0].sum().backward()
    assert video.grad[30].abs().max() > 0, "frame 0 does not depend on frame 30"
    assert video.grad[1::2].abs().max() == 0, "frame 0 depends on odd frames"


@pytest.mark.parametrize("windows", [1, 3, 100])
def test_the_number_of_windows_at_once_does_not_change_predictions(windows: int):
    movie_and_behavior = make_trial(36)
    expected = DwiseNeuroEncoder(read_mouse_models()).predict_rates(*movie_and_behavior)
    rates = DwiseNeuroEncoder(read_mouse_models(), max_windows=windows).predict_rates(
        *movie_and_behavior
    )
    torch.testing.assert_close(rates, expected, **FLOAT32_TOLERANCE)


def test_movies_of_a_batch_are_independent():
    encoder = DwiseNeuroEncoder(read_mouse_models())
    video, behavior = make_trial(32, 2, 3)
    together = encoder.predict_rates(video, behavior)
    assert together.shape == (2, 3, 32, 5)
    alone = encoder.predict_rates(video[1, 2], behavior[1, 2])
    torch.testing.assert_close(together[1, 2], alone, **FLOAT32_TOLERANCE)


# -- padding and behavior ----------------------------------------------------------


def test_frames_are_padded_with_rows_of_zero():
    video, behavior = make_trial(31)
    zeros, gray = torch.zeros(31, 64, 64), torch.full((31, 64, 64), 127.5)
    zeros[:, 14:50] = gray[:, 14:50] = video
    assert torch.equal(pad_frames(video), zeros)
    assert pad_frames(gray) is gray, "padded frames were changed"
    encoder = DwiseNeuroEncoder(read_mouse_models())
    rates = encoder.predict_rates(video, behavior)
    torch.testing.assert_close(
        encoder.predict_rates(zeros, behavior), rates, **FLOAT32_TOLERANCE
    )
    assert not torch.allclose(encoder.predict_rates(gray, behavior), rates, rtol=0.01)


def test_behavior_planes_say_what_values_say_and_have_a_gradient():
    encoder = DwiseNeuroEncoder(read_mouse_models())
    video, behavior = make_trial(31)
    planes = behavior[..., None, None].expand(-1, -1, 64, 64).clone()
    planes.requires_grad_(True)
    rates = encoder.predict_rates(video, planes)
    torch.testing.assert_close(
        rates, encoder.predict_rates(video, behavior), **FLOAT32_TOLERANCE
    )
    rates.sum().backward()
    assert (planes.grad[::2].flatten(2).abs().amax((0, 2)) > 0).all()


USUAL = (50.0, 2.0, 120.0, 130.0)


def make_encoder_with_means() -> DwiseNeuroEncoder:
    """The encoder of a mouse whose mean behavior in training is known."""
    [model] = read_mouse_models()
    return DwiseNeuroEncoder([replace(model, mouse=Mouse(0, 5, "1-2-3", USUAL))])


def test_unknown_behavior_is_replaced_by_its_training_mean():
    encoder = make_encoder_with_means()
    video, behavior = make_trial(31)
    behavior[4, 0] = behavior[:, 3] = torch.nan
    rates = encoder.predict_rates(video, behavior)
    assert rates.isfinite().all()
    behavior[4, 0], behavior[:, 3] = USUAL[0], USUAL[3]
    torch.testing.assert_close(
        rates, encoder.predict_rates(video, behavior), **FLOAT32_TOLERANCE
    )


def test_a_missing_pupil_center_is_replaced_by_its_training_mean():
    encoder = make_encoder_with_means()
    video, behavior = make_trial(31)
    rates = encoder.predict_rates(video, behavior[:, :2])
    behavior[:, 2:] = torch.tensor(USUAL[2:])
    torch.testing.assert_close(
        rates, encoder.predict_rates(video, behavior), **FLOAT32_TOLERANCE
    )


def test_behavior_that_a_network_was_not_trained_on_is_ignored(tmp_path):
    sizes, file = replace(dwiseneuro_world.NARROW, in_channels=3), tmp_path / "two.pth"
    network = dwiseneuro_world.make_network(0, sizes)
    torch.save(dwiseneuro_world.make_author_layout(network, sizes), file)
    video, behavior = make_trial(31)
    encoder = load_dwiseneuro([file], 0)
    torch.testing.assert_close(
        encoder.predict_rates(video, behavior),
        encoder.predict_rates(video, behavior[:, :2]),
        **FLOAT32_TOLERANCE,
    )


# -- models, mice, gradients -------------------------------------------------------


def test_an_ensemble_predicts_the_mean_of_its_models():
    movie_and_behavior, seeds = make_trial(32), (0, 1, 2)
    together = DwiseNeuroEncoder(read_mouse_models(1, seeds)).predict_rates(
        *movie_and_behavior
    )
    alone = [
        DwiseNeuroEncoder(read_mouse_models(1, [seed])).predict_rates(
            *movie_and_behavior
        )
        for seed in seeds
    ]
    assert not torch.allclose(alone[0], alone[1], rtol=0.01)
    torch.testing.assert_close(
        together, torch.stack(alone).mean(0), **FLOAT32_TOLERANCE
    )


@pytest.mark.parametrize("mouse", [0, 1, 2])
def test_the_readout_of_any_mouse_can_be_used(tmp_path, mouse: int):
    video, behavior = make_trial(31)
    file = dwiseneuro_world.write_author_file(tmp_path / "all.pth")
    encoder = load_dwiseneuro([file], str(mouse))
    assert (encoder.mouse.index, encoder.n_neurons) == (mouse, N_NEURONS[mouse])
    assert encoder.neuron_ids.tolist() == list(range(N_NEURONS[mouse]))
    network = dwiseneuro_world.make_network()
    expected = blend_one_by_one(network, video, behavior, mouse)
    torch.testing.assert_close(
        encoder.predict_rates(video, behavior), expected, **FLOAT32_TOLERANCE
    )


def test_published_and_converted_files_can_form_one_ensemble(tmp_path):
    movie_and_behavior, seeds = make_trial(31), (0, 1)
    files = [
        dwiseneuro_world.write_author_file(tmp_path / f"{seed}.pth", seed)
        for seed in seeds
    ]
    convert_author_files(files[:1], tmp_path / "0.safetensors", 2)
    mixed = load_dwiseneuro([tmp_path / "0.safetensors", files[1]], 2)
    torch.testing.assert_close(
        mixed.predict_rates(*movie_and_behavior),
        load_dwiseneuro(files, 2).predict_rates(*movie_and_behavior),
        **FLOAT32_TOLERANCE,
    )


def test_recomputing_the_forward_pass_does_not_change_gradients():
    video, behavior = make_trial(34)
    gradients = []
    for recompute in (False, True):
        movie = video.clone().requires_grad_(True)
        encoder = DwiseNeuroEncoder(read_mouse_models(), recompute_forward=recompute)
        encoder.predict_rates(movie, behavior).square().sum().backward()
        gradients.append(movie.grad)
    assert gradients[0].abs().max() > 0
    scale = float(gradients[0].abs().max())
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * scale)


def test_movies_have_a_gradient_and_weights_have_none():
    encoder = DwiseNeuroEncoder(read_mouse_models())
    video, behavior = make_trial(31)
    assert not encoder.predict_rates(video, behavior).requires_grad
    assert encoder.predict_rates(video.requires_grad_(True), behavior).requires_grad


def test_half_precision_predictions_are_close():
    movie_and_behavior = make_trial(31)
    exact = DwiseNeuroEncoder(read_mouse_models()).predict_rates(*movie_and_behavior)
    rough = DwiseNeuroEncoder(read_mouse_models(), dtype=torch.bfloat16).predict_rates(
        *movie_and_behavior
    )
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.1 * exact.std()


# -- input that is refused ---------------------------------------------------------

# shape of video, of behavior -> part of the error
REFUSED = {
    "another size": ((31, 48, 64), (31, 4), r"\(36, 64\) px, not of \(48, 64\)"),
    "too short": ((30, 36, 64), (30, 4), "needs 31 frames or more, not 30"),
    "too much behavior": (
        (31, 36, 64),
        (31, 5),
        "takes 4 behavior values per frame .* not 5",
    ),
    "too little behavior": ((31, 36, 64), (31, 2), r"behavior of mouse 0 is not known"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_refused_with_a_sentence(case: str):
    video, behavior, words = REFUSED[case]
    encoder = DwiseNeuroEncoder(read_mouse_models())
    with pytest.raises(UserError, match=words):
        encoder.predict_rates(torch.zeros(video), torch.zeros(behavior))


def test_unknown_behavior_without_a_known_mean_is_refused():
    encoder = DwiseNeuroEncoder(read_mouse_models())
    video, behavior = make_trial(31)
    behavior[3, 1] = torch.nan
    with pytest.raises(UserError, match="give pupil dilation, running speed"):
        encoder.predict_rates(video, behavior)


def test_models_of_different_mice_are_no_ensemble():
    first, other = read_mouse_models(0)[0], read_mouse_models(2)[0]
    with pytest.raises(UserError, match=r"5 neurons of mouse 0, but .* of mouse 2"):
        DwiseNeuroEncoder([first, other])
    renamed = replace(first, neuron_ids=first.neuron_ids.flip(0))
    with pytest.raises(UserError, match="has other ids"):
        DwiseNeuroEncoder([first, renamed])
    with pytest.raises(UserError, match="no checkpoint is given"):
        load_dwiseneuro([])
