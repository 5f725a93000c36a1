"""Training with torchrun on the CPU, started as a user starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.training.compact.fit import fit_encoder
from rtrecon.training.score import predict_activity
from tests.support import torchrun_job
from tests.support.fit_world import use_small_gabor_bank
from tests.support.paths import REPOSITORY

N_NEURONS, N_FRAMES = 6, 150
TIMEOUT_S = 150
COMMAND = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
COMMAND += ["--nproc-per-node", "2"]


def run_torchrun(*program: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, program)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )


def write_random_mouse(folder: Path) -> Path:
    """A Sensorium folder of random numbers."""
    rng = np.random.default_rng(0)

    def make_trial() -> SensoriumTrial:
        movie = rng.integers(0, 256, (N_FRAMES, *layout.MOVIE_SHAPE)).astype(np.float32)
        behavior = rng.normal(size=(N_FRAMES, 4)).astype(np.float32)
        responses = rng.gamma(0.5, 2, (N_FRAMES, N_NEURONS)).astype(np.float32)
        return SensoriumTrial(movie, behavior, responses)

    neurons = NeuronTable(np.arange(N_NEURONS), np.zeros((N_NEURONS, 3)))
    tiers = ["train", "train", "train", "oracle"]
    write_folder(folder, neurons, N_FRAMES, ((tier, make_trial()) for tier in tiers))
    return folder


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Run training that is interrupted, resumed, and fails at the end."""
    folder = tmp_path_factory.mktemp("together")
    return folder, run_torchrun("-m", torchrun_job.__name__, folder)


def test_two_processes_learn_the_same_as_one(finished_run):
    """The single process is not interrupted; the two are, and resume."""
    folder, process = finished_run
    assert (folder / "together.pt").exists(), process.stderr
    history, state = torch.load(folder / "together.pt", weights_only=True)
    with use_small_gabor_bank():
        single = fit_encoder(torchrun_job.make_job(), lambda _: None)
    assert [epoch for epoch, *_ in history] == [1, 2]
    for (_, training_loss, r), expected_epoch in zip(
        history, single.history, strict=True
    ):
        assert training_loss == pytest.approx(expected_epoch.training_loss, rel=1e-4)
        assert r == pytest.approx(expected_epoch.validation_r, abs=1e-3)
    validation = torchrun_job.make_job().validation
    expected = predict_activity(single.encoder, validation)
    single.encoder.load_state_dict(state)
    np.testing.assert_allclose(
        predict_activity(single.encoder, validation), expected, rtol=1e-3
    )


def test_an_error_in_one_process_ends_all_with_one_sentence(finished_run):
    _, process = finished_run
    assert process.returncode != 0
    assert process.stderr.count(torchrun_job.ERROR_TEXT) == 1
    assert "another process exited" not in process.stderr, (
        "the other process reported an error, too"
    )


def test_the_command_writes_one_checkpoint(tmp_path):
    folder, out = write_random_mouse(tmp_path / "mouse"), tmp_path / "e.safetensors"
    arguments = ["--sensorium", folder, "--out", out, "--epochs", 2]
    process = run_torchrun("-m", "rtrecon", "train", *arguments, "--device", "cpu")
    assert process.returncode == 0, process.stderr
    assert process.stdout.count(f"written: {N_NEURONS} neurons") == 1
    assert process.stdout.count("looking for receptive fields") == 1
    assert load_checkpoint(out).card.metadata["hardware"] == "cpu, float32, 2 processes"
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ["e-training.json", "e-training.png", "e.safetensors"]


def test_options_that_exclude_each_other_are_reported_once(tmp_path):
    both = ("--sensorium", tmp_path, "--session", tmp_path)
    out = tmp_path / "e.safetensors"
    process = run_torchrun("-m", "rtrecon", "train", *both, "--out", out)
    assert process.returncode != 0
    assert process.stderr.count("give --sensorium or --session, not both") == 1
