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
from tests.support.paths import REPOSITORY

N_NEURONS, N_FRAMES = 6, 150
TIMEOUT_S = 150
COMMAND = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
COMMAND += ["--nproc-per-node", "2"]


def torchrun(*program: object) -> subprocess.CompletedProcess[str]:
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

    def trial() -> SensoriumTrial:
        movie = rng.integers(0, 256, (N_FRAMES, *layout.MOVIE_SHAPE)).astype(np.float32)
        behavior = rng.normal(size=(N_FRAMES, 4)).astype(np.float32)
        responses = rng.gamma(0.5, 2, (N_FRAMES, N_NEURONS)).astype(np.float32)
        return SensoriumTrial(movie, behavior, responses)

    neurons = NeuronTable(np.arange(N_NEURONS), np.zeros((N_NEURONS, 3)))
    tiers = ["train", "train", "train", "oracle"]
    write_folder(folder, neurons, N_FRAMES, ((tier, trial()) for tier in tiers))
    return folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Training that was interrupted, resumed, and failed at last."""
    folder = tmp_path_factory.mktemp("together")
    return folder, torchrun("-m", torchrun_job.__name__, folder)


def test_two_processes_learn_the_same_as_one(ended):
    """The single process is not interrupted; the two are, and resume."""
    folder, done = ended
    assert (folder / "together.pt").exists(), done.stderr
    told, state = torch.load(folder / "together.pt", weights_only=True)
    alone = fit_encoder(torchrun_job.make_job(), lambda _: None)
    assert [epoch for epoch, *_ in told] == [1, 2]
    for (_, training_loss, r), own in zip(told, alone.history, strict=True):
        assert training_loss == pytest.approx(own.training_loss, rel=1e-4)
        assert r == pytest.approx(own.validation_r, abs=1e-3)
    together = torchrun_job.make_job().validation
    expected = predict_activity(alone.encoder, together)
    alone.encoder.load_state_dict(state)
    np.testing.assert_allclose(
        predict_activity(alone.encoder, together), expected, rtol=1e-3
    )


def test_an_error_in_one_process_ends_all_with_one_sentence(ended):
    _, done = ended
    assert done.returncode != 0
    assert done.stderr.count(torchrun_job.ERROR_TEXT) == 1
    assert "another process exited" not in done.stderr, (
        "the other process reported an error, too"
    )


@pytest.mark.long  # two processes that each load all, and calibrate
def test_the_command_writes_one_checkpoint(tmp_path):
    folder, out = write_random_mouse(tmp_path / "mouse"), tmp_path / "e.safetensors"
    arguments = ["--sensorium", folder, "--out", out, "--epochs", 2]
    done = torchrun("-m", "rtrecon", "train", *arguments, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"written: {N_NEURONS} neurons") == 1
    assert done.stdout.count("looking for receptive fields") == 1
    assert load_checkpoint(out).card.metadata["hardware"] == "cpu, float32, 2 processes"
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert left == ["e-training.json", "e-training.png", "e.safetensors"]
