"""A simulated mouse at the rig: movies shown to it, controls, and any video file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from rtrecon.analysis.evaluation import (
    EvaluationRequest,
    SimulationRequest,
    evaluate_session,
    make_terminal_table,
    stimuli,
)
from rtrecon.analysis.evaluation.simulated_rig import SimulatedRig
from rtrecon.core.errors import UserError
from rtrecon.encoder.card import read_card
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.sources.video import write_movie
from tests.support.trained_encoder import make_untrained_checkpoint

MOUSE = ImagedMouseOptions(SubjectOptions(n_neurons=30), side_px=96)
CLIP_FRAMES, SECONDS = 30, 2.0
MISTAKES = {
    "too short": (SimulationRequest(0.5), "shorter than a clip"),
    "no video": (SimulationRequest(SECONDS, Path("nowhere.mp4")), "does not exist"),
}


@pytest.fixture(scope="module", autouse=True)
def _short_preparation(short_preparation):
    """Making the mice would otherwise take most of the time."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """One of that mouse's neurons, though it knows nothing of them."""
    path = tmp_path_factory.mktemp("encoder") / "blank.safetensors"
    made = make_untrained_checkpoint(
        path, list(range(MOUSE.subject.n_neurons)), (MOUSE.side_px,) * 2
    )
    metadata = {"simulated": MOUSE.to_metadata(), "rate_hz": 30.0}
    save_checkpoint(replace(made, card=replace(made.card, metadata=metadata)))
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
    simulation = SimulationRequest(SECONDS, video)
    return evaluate_session(
        EvaluationRequest(simulation, out, [encoder], clip_frames=CLIP_FRAMES)
    )


def test_the_simulated_session_shows_the_video(found):
    shown = found.best.clip.stimulus
    assert shown.shape == (CLIP_FRAMES, 36, 64)
    brightest = shown.mean(1).argmax(1)
    assert brightest[-2] > brightest[2] + 40
    assert any("bar.mp4 is shown at 30 frames per second" in n for n in found.notes)
    assert any("1.0 s and is repeated" in note for note in found.notes)


def test_every_control_reports_its_number_of_clips(found):
    controls = found.tables["controls"]
    kinds = 3 + 1 + 2 + len(stimuli.NOISE_SCALES) + 1 + len(stimuli.GRATINGS)
    assert len(controls) == kinds
    assert all(row["video_r"].n_clips == 2 for row in controls.values())


def test_control_names_fit_a_terminal(found):
    console = Console(width=80, file=io.StringIO())
    console.print(make_terminal_table(found))
    assert "…" not in console.file.getvalue()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_request_is_refused_with_a_sentence(mistake, encoder, tmp_path):
    simulation, words = MISTAKES[mistake]
    with pytest.raises(UserError, match=words):
        evaluate_session(
            EvaluationRequest(simulation, tmp_path, [encoder], clip_frames=CLIP_FRAMES)
        )


def test_an_encoder_of_real_neurons_cannot_be_simulated(encoder):
    card = replace(read_card(encoder), metadata={})
    with pytest.raises(UserError, match="not trained on a simulated mouse"):
        SimulatedRig.for_encoder(card, 0)


def test_simulated_activity_is_aligned_with_the_stimulus(encoder):
    """A flash after darkness: neurons answer within its clip, not before it."""
    rig = SimulatedRig.for_encoder(read_card(encoder), 0)
    dark = np.full((60, 36, 64), 80, np.uint8)
    flicker = stimuli.make_noise(60, (4.0, 2.0), 0)
    before, during = rig.show_movie(
        np.concatenate([dark, flicker]), 60, lambda *_: None
    )
    np.testing.assert_array_equal(before.stimulus, dark)
    np.testing.assert_array_equal(during.stimulus, flicker)
    assert np.nansum(during.target.activity) > 2 * np.nansum(before.target.activity)


def test_the_simulated_rig_is_repeatable(encoder):
    rig = SimulatedRig.for_encoder(read_card(encoder), 3)
    movie = stimuli.make_noise(40, (4.0, 2.0), 0)
    (one,), (two,) = (rig.show_movie(movie, 40, lambda *_: None) for _ in range(2))
    np.testing.assert_array_equal(one.target.activity, two.target.activity)
    (other,) = rig.with_another_mouse().show_movie(movie, 40, lambda *_: None)
    assert not np.array_equal(one.target.activity, other.target.activity)
