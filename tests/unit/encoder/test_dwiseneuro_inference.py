"""The published encoder at work: windows, padding, blending, behaviour, ensembles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.dwiseneuro.convert import convert
from rtrecon.encoder.dwiseneuro.inference import (
    Published,
    load_published,
    padded,
    window_frames,
)
from rtrecon.encoder.dwiseneuro.mouse_names import Mouse
from rtrecon.encoder.dwiseneuro.network import DwiseNeuro
from tests.support import dwiseneuro_world
from tests.support.dwiseneuro_world import N_NEURONS, models, trial

KNOWN = Path("encoder/dwiseneuro_small.pth")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


# -- what the published encoder itself answers --------------------------------------


@pytest.fixture(scope="module")
def known(shared_data: Path) -> dict[str, np.ndarray]:
    """A trial as recorded, and the answers to it."""
    file = shared_data / KNOWN.with_name("dwiseneuro_small_io.npz")
    if not file.is_file():
        pytest.skip(f"no known answers at {file}")
    return dict(np.load(file))


def asked(known: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """The trial with time first."""
    behavior = np.concatenate([known["behavior"], known["pupil_center"]]).T
    video = known["video"].transpose(2, 0, 1)
    return torch.from_numpy(video.copy()), torch.from_numpy(behavior.copy())


@pytest.mark.parametrize("mouse", [0, 1])
def test_a_trial_gets_the_known_answer(shared_data, known, mouse: int):
    encoder = load_published([shared_data / KNOWN], mouse)
    answer = encoder.rates(*asked(known)).T
    expected = known[f"trial_readout{mouse}"]
    np.testing.assert_allclose(answer, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mouse", [0, 1])
def test_a_window_gets_the_known_answer(shared_data, known, mouse: int):
    encoder = load_published([shared_data / KNOWN], mouse)
    video, behavior = asked(known)
    answer = encoder.rates(video[:31], behavior[:31]).T[:, ::2]
    expected = known[f"window_readout{mouse}"]
    np.testing.assert_allclose(answer, expected, atol=1e-4, rtol=0)


# -- windows and blending -----------------------------------------------------------


def blended_one_by_one(
    made: DwiseNeuro, video: Tensor, behavior: Tensor, mouse: int
) -> Tensor:
    """The published rule, word by word: (T, n)."""
    n_frames = len(video)
    total, count = torch.zeros(n_frames, N_NEURONS[mouse]), torch.zeros(n_frames, 1)
    for last in range(30, n_frames):
        frames = list(range(last - 30, last + 1, 2))
        seen = torch.zeros(1, 1, 16, 64, 64)
        seen[0, 0, :, 14:50] = video[frames]
        told = behavior[frames].T[None, :, :, None, None].expand(-1, -1, -1, 64, 64)
        total[frames] += made(seen, told, mouse)[0].T
        count[frames] += 1
    return total / count.clamp(min=1)


@pytest.mark.parametrize("n_frames", [31, 32, 37])
def test_a_frame_is_told_the_mean_of_its_windows(tmp_path, n_frames: int):
    video, behavior = trial(n_frames)
    answer = Published(models(tmp_path, 1)).rates(video, behavior)
    made = dwiseneuro_world.network()
    expected = blended_one_by_one(made, video, behavior, 1)
    torch.testing.assert_close(answer, expected, atol=1e-4, rtol=1e-4)


def test_every_window_is_of_16_frames_and_every_other_one():
    found = window_frames(33)
    assert found.shape == (3, 16)
    assert found[0].tolist() == list(range(0, 31, 2))
    assert found[2].tolist() == list(range(2, 33, 2))


def test_frames_that_no_window_sees_are_told_nothing(tmp_path):
    answer = Published(models(tmp_path)).rates(*trial(31))
    assert (answer[1::2] == 0).all()
    assert (answer[::2].amax(1) > 0).all()


def test_a_prediction_looks_ahead(tmp_path):
    encoder = Published(models(tmp_path))
    video, behavior = trial(32)
    video.requires_grad_(True)
    encoder.rates(video, behavior)[0].sum().backward()
    assert video.grad[30].abs().max() > 0, "frame 0 hears of frame 30"
    assert video.grad[1::2].abs().max() == 0, "but not of the odd ones"


@pytest.mark.parametrize("windows", [1, 3, 100])
def test_how_many_windows_go_at_once_changes_nothing(tmp_path, windows: int):
    asked = trial(36)
    expected = Published(models(tmp_path)).rates(*asked)
    answer = Published(models(tmp_path), windows=windows).rates(*asked)
    torch.testing.assert_close(answer, expected)


def test_movies_of_a_batch_do_not_know_each_other(tmp_path):
    encoder = Published(models(tmp_path))
    video, behavior = trial(32, 2, 3)
    together = encoder.rates(video, behavior)
    assert together.shape == (2, 3, 32, 5)
    alone = encoder.rates(video[1, 2], behavior[1, 2])
    torch.testing.assert_close(together[1, 2], alone)


# -- padding and behaviour ----------------------------------------------------------


def test_visible_frames_lie_between_rows_of_zero(tmp_path):
    video, behavior = trial(31)
    zeros, gray = torch.zeros(31, 64, 64), torch.full((31, 64, 64), 127.5)
    zeros[:, 14:50] = gray[:, 14:50] = video
    assert torch.equal(padded(video), zeros)
    assert padded(gray) is gray, "padded frames are taken as they are"
    encoder = Published(models(tmp_path))
    answer = encoder.rates(video, behavior)
    torch.testing.assert_close(encoder.rates(zeros, behavior), answer)
    assert not torch.allclose(encoder.rates(gray, behavior), answer, rtol=0.01)


def test_behavior_planes_say_what_values_say_and_have_a_gradient(tmp_path):
    encoder = Published(models(tmp_path))
    video, behavior = trial(31)
    planes = behavior[..., None, None].expand(-1, -1, 64, 64).clone()
    planes.requires_grad_(True)
    answer = encoder.rates(video, planes)
    torch.testing.assert_close(answer, encoder.rates(video, behavior))
    answer.sum().backward()
    assert (planes.grad[::2].flatten(2).abs().amax((0, 2)) > 0).all()


USUAL = (50.0, 2.0, 120.0, 130.0)


def usual(folder: Path) -> Published:
    """The encoder of a mouse whose mean behaviour in training is known."""
    [model] = models(folder)
    return Published([replace(model, mouse=Mouse(0, 5, "1-2-3", USUAL))])


def test_what_is_not_known_of_behavior_is_its_mean_in_training(tmp_path):
    encoder = usual(tmp_path)
    video, behavior = trial(31)
    behavior[4, 0] = behavior[:, 3] = torch.nan
    answer = encoder.rates(video, behavior)
    assert answer.isfinite().all()
    behavior[4, 0], behavior[:, 3] = USUAL[0], USUAL[3]
    torch.testing.assert_close(answer, encoder.rates(video, behavior))


def test_a_rig_that_sees_no_pupil_centre_is_told_its_mean(tmp_path):
    encoder = usual(tmp_path)
    video, behavior = trial(31)
    answer = encoder.rates(video, behavior[:, :2])
    behavior[:, 2:] = torch.tensor(USUAL[2:])
    torch.testing.assert_close(answer, encoder.rates(video, behavior))


def test_what_a_network_was_not_trained_on_is_passed_over(tmp_path):
    sizes, file = replace(dwiseneuro_world.NARROW, in_channels=3), tmp_path / "two.pth"
    made = dwiseneuro_world.network(0, sizes)
    torch.save(dwiseneuro_world.layout(made, sizes), file)
    video, behavior = trial(31)
    encoder = load_published([file], 0)
    assert torch.equal(
        encoder.rates(video, behavior), encoder.rates(video, behavior[:, :2])
    )


# -- models, mice, gradients --------------------------------------------------------


def test_an_ensemble_answers_the_mean_of_its_models(tmp_path):
    asked, seeds = trial(32), (0, 1, 2)
    together = Published(models(tmp_path, 1, seeds)).rates(*asked)
    alone = [Published(models(tmp_path, 1, [seed])).rates(*asked) for seed in seeds]
    assert not torch.allclose(alone[0], alone[1], rtol=0.01)
    torch.testing.assert_close(together, torch.stack(alone).mean(0))


@pytest.mark.parametrize("mouse", [0, 1, 2])
def test_any_mouse_s_readout_answers(tmp_path, mouse: int):
    video, behavior = trial(31)
    file = dwiseneuro_world.saved(tmp_path / "all.pth")
    encoder = load_published([file], str(mouse))
    assert (encoder.mouse.index, encoder.n_neurons) == (mouse, N_NEURONS[mouse])
    assert encoder.neuron_ids.tolist() == list(range(N_NEURONS[mouse]))
    made = dwiseneuro_world.network()
    expected = blended_one_by_one(made, video, behavior, mouse)
    torch.testing.assert_close(encoder.rates(video, behavior), expected)


def test_published_and_converted_files_make_one_ensemble(tmp_path):
    asked, seeds = trial(31), (0, 1)
    files = [dwiseneuro_world.saved(tmp_path / f"{seed}.pth", seed) for seed in seeds]
    convert(files[:1], tmp_path / "0.safetensors", 2)
    mixed = load_published([tmp_path / "0.safetensors", files[1]], 2)
    torch.testing.assert_close(
        mixed.rates(*asked), load_published(files, 2).rates(*asked)
    )


def test_going_forward_again_for_the_gradient_changes_nothing(tmp_path):
    video, behavior = trial(34)
    gradients = []
    for recompute in (False, True):
        movie = video.clone().requires_grad_(True)
        encoder = Published(models(tmp_path), recompute=recompute)
        encoder.rates(movie, behavior).square().sum().backward()
        gradients.append(movie.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)


def test_weights_are_frozen_and_movies_are_not(tmp_path):
    encoder = Published(models(tmp_path))
    video, behavior = trial(31)
    assert not encoder.rates(video, behavior).requires_grad
    assert encoder.rates(video.requires_grad_(True), behavior).requires_grad


def test_half_precision_is_near(tmp_path):
    asked = trial(31)
    exact = Published(models(tmp_path)).rates(*asked)
    rough = Published(models(tmp_path), dtype=torch.bfloat16).rates(*asked)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.1 * exact.std()


# -- what cannot be answered --------------------------------------------------------

# shape of video, of behaviour -> words of the refusal
REFUSED = {
    "another size": ((31, 48, 64), (31, 4), r"\(36, 64\) px, not of \(48, 64\)"),
    "too short": ((30, 36, 64), (30, 4), "needs 31 frames to answer, not 30"),
    "too much told": ((31, 36, 64), (31, 5), "told 4 values per frame .* not 5"),
    "too little told": ((31, 36, 64), (31, 2), r"mouse 0 did is not known"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_answer_is_refused_with_a_sentence(tmp_path, case: str):
    video, behavior, words = REFUSED[case]
    encoder = Published(models(tmp_path))
    with pytest.raises(UserError, match=words):
        encoder.rates(torch.zeros(video), torch.zeros(behavior))


def test_a_behavior_that_nobody_knows_is_refused(tmp_path):
    encoder = Published(models(tmp_path))
    video, behavior = trial(31)
    behavior[3, 1] = torch.nan
    with pytest.raises(UserError, match="give pupil dilation, running speed"):
        encoder.rates(video, behavior)


def test_models_of_one_ensemble_are_of_one_mouse(tmp_path):
    first, other = models(tmp_path, 0)[0], models(tmp_path, 2)[0]
    with pytest.raises(UserError, match=r"5 neurons of mouse 0, but .* of mouse 2"):
        Published([first, other])
    renamed = replace(first, neuron_ids=first.neuron_ids.flip(0))
    with pytest.raises(UserError, match="under other ids"):
        Published([first, renamed])
    with pytest.raises(UserError, match="no checkpoint is given"):
        load_published([])
