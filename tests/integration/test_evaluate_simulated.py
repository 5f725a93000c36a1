"""A simulated mouse at the rig: movies shown to it, controls, and any video file."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from rtrecon.analysis.evaluation import (
    Plan,
    Simulation,
    evaluate,
    evaluation_table,
    stimuli,
)
from rtrecon.analysis.evaluation.simulated_rig import Rig
from rtrecon.core.errors import UserError
from rtrecon.encoder.card import read_card
from rtrecon.encoder.checkpoint import save
from rtrecon.sources.video import write_movie
from rtrecon.training import SimulatedTraining
from tests.support.trained_encoder import untrained

MOUSE = SimulatedTraining(minutes=1.0, n_neurons=30, side_px=96, mouse_seed=0)
CLIP_FRAMES, SECONDS = 30, 2.0
MISTAKES = {
    "too short": (Simulation(0.5), "shorter than a clip"),
    "no video": (Simulation(SECONDS, Path("nowhere.mp4")), "does not exist"),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """One of that mouse's neurons, though it knows nothing of them."""
    path = tmp_path_factory.mktemp("encoder") / "blank.safetensors"
    made = untrained(path, list(range(MOUSE.n_neurons)), (MOUSE.side_px,) * 2)
    meta = {"simulated": asdict(MOUSE), "rate_hz": 30.0}
    save(replace(made, card=replace(made.card, meta=meta)))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """A second of a bar that wanders to the right, at another size and rate."""
    path = tmp_path_factory.mktemp("video") / "bar.mp4"
    frames = np.zeros((25, 90, 160), np.uint8)
    for index, frame in enumerate(frames):
        frame[:, 6 * index : 6 * index + 12] = 255
    write_movie(path, frames, rate_hz=25.0, scale=1)
    return path


@pytest.fixture(scope="module")
def found(encoder, video, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("out")
    simulation = Simulation(SECONDS, video)
    return evaluate(Plan(simulation, out, [encoder], clip_frames=CLIP_FRAMES))


def test_the_video_is_what_is_shown(found):
    shown = found.best.clip.shown
    assert shown.shape == (CLIP_FRAMES, 36, 64)
    brightest = shown.mean(1).argmax(1)
    assert brightest[-2] > brightest[2] + 40
    assert any("bar.mp4 is shown at 30 frames per second" in n for n in found.notes)
    assert any("1.0 s and is repeated" in note for note in found.notes)


def test_every_control_is_told_with_its_clips(found):
    controls = found.tables["controls"]
    kinds = 3 + 1 + 2 + len(stimuli.NOISES) + 1 + len(stimuli.GRATINGS)
    assert len(controls) == kinds
    assert all(row["video_r"].clips == 2 for row in controls.values())


def test_controls_have_names_that_fit_a_terminal(found):
    console = Console(width=80, file=io.StringIO())
    console.print(evaluation_table(found))
    assert "…" not in console.file.getvalue()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_answered_in_a_sentence(mistake, encoder, tmp_path):
    simulation, words = MISTAKES[mistake]
    with pytest.raises(UserError, match=words):
        evaluate(Plan(simulation, tmp_path, [encoder], clip_frames=CLIP_FRAMES))


def test_an_encoder_of_real_neurons_has_no_mouse_to_simulate(encoder):
    card = replace(read_card(encoder), meta={})
    with pytest.raises(UserError, match="not trained on a simulated mouse"):
        Rig.of(card, 0)


def test_activity_belongs_to_the_frames_that_were_shown(encoder):
    """A flash after darkness: neurons answer within its clip, not before it."""
    rig = Rig.of(read_card(encoder), 0)
    dark = np.full((60, 36, 64), 80, np.uint8)
    flicker = stimuli.noise(60, (4.0, 2.0), 0)
    before, during = rig.shown(np.concatenate([dark, flicker]), 60, lambda *_: None)
    np.testing.assert_array_equal(before.shown, dark)
    np.testing.assert_array_equal(during.shown, flicker)
    assert np.nansum(during.target.activity) > 2 * np.nansum(before.target.activity)


def test_the_rig_shows_the_same_again(encoder):
    rig = Rig.of(read_card(encoder), 3)
    movie = stimuli.noise(40, (4.0, 2.0), 0)
    (one,), (two,) = (rig.shown(movie, 40, lambda *_: None) for _ in range(2))
    np.testing.assert_array_equal(one.target.activity, two.target.activity)
    (other,) = replace(rig, mouse=1).shown(movie, 40, lambda *_: None)
    assert not np.array_equal(one.target.activity, other.target.activity)


def test_inversion_mirrors_gray_about_its_mean():
    movie = stimuli.noise(20, (3.0, 2.0), 1).clip(40, 120)
    about = 2 * movie.mean() - movie
    np.testing.assert_allclose(stimuli.inverted(movie), about, atol=0.5)


def test_less_contrast_leaves_the_mean():
    movie = stimuli.noise(20, (3.0, 2.0), 1)
    low = stimuli.scaled_contrast(movie, 0.4)
    assert low.mean() == pytest.approx(movie.mean(), abs=0.1)
    assert low.std() == pytest.approx(0.4 * movie.std(), rel=0.02)


def test_noise_is_smooth_over_its_scales():
    """Of a Gaussian of s.d. s, r between neighbours d apart is exp(-d^2 / 4 s^2)."""
    noise = stimuli.noise(200, (4.0, 2.0), 2).astype(float)
    px = np.corrcoef(noise[..., :-4].ravel(), noise[..., 4:].ravel())[0, 1]
    frames = np.corrcoef(noise[:-2].ravel(), noise[2:].ravel())[0, 1]
    assert px == pytest.approx(np.exp(-1 / 4), abs=0.05)
    assert frames == pytest.approx(np.exp(-1 / 4), abs=0.05)


def test_a_grating_drifts_by_its_speed():
    one_px_per_frame = stimuli.grating(10, 0.0625, 0.0625, 0.0).astype(int)
    np.testing.assert_allclose(
        one_px_per_frame[1:, :, 1:], one_px_per_frame[:-1, :, :-1], atol=1
    )
