"""Processes that train together, started as a user starts them, on the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder
from rtrecon.encoder.checkpoint import load
from rtrecon.training.compact.fit import train
from rtrecon.training.score import predict
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


def a_mouse(folder: Path) -> Path:
    """A Sensorium folder in which nothing depends on anything."""
    rng = np.random.default_rng(0)

    def trial() -> Trial:
        movie = rng.integers(0, 256, (N_FRAMES, *layout.SHAPE)).astype(np.float32)
        behavior = rng.normal(size=(N_FRAMES, 4)).astype(np.float32)
        responses = rng.gamma(0.5, 2, (N_FRAMES, N_NEURONS)).astype(np.float32)
        return Trial(movie, behavior, responses)

    neurons = Neurons(np.arange(N_NEURONS), np.zeros((N_NEURONS, 3)))
    tiers = ["train", "train", "train", "oracle"]
    write_folder(folder, neurons, N_FRAMES, ((tier, trial()) for tier in tiers))
    return folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Training that was stopped, gone on with, and met with trouble at last."""
    folder = tmp_path_factory.mktemp("together")
    return folder, torchrun("-m", torchrun_job.__name__, folder)


def test_two_processes_learn_what_one_learns(ended):
    """One that never stopped, though these did, and mixed and averaged, too."""
    folder, done = ended
    assert (folder / "together.pt").exists(), done.stderr
    told, state = torch.load(folder / "together.pt", weights_only=True)
    alone = train(torchrun_job.job(), lambda _: None)
    assert [epoch for epoch, *_ in told] == [1, 2]
    for (_, misfit, r), own in zip(told, alone.history, strict=True):
        assert misfit == pytest.approx(own.misfit, rel=1e-4)
        assert r == pytest.approx(own.validation_r, abs=1e-3)
    together = torchrun_job.job().validation
    expected = predict(alone.model, together)
    alone.model.load_state_dict(state)
    np.testing.assert_allclose(predict(alone.model, together), expected, rtol=1e-3)


def test_trouble_in_one_process_ends_all_with_one_sentence(ended):
    _, done = ended
    assert done.returncode != 0
    assert done.stderr.count(torchrun_job.TROUBLE) == 1
    assert "has ended" not in done.stderr, "the other complained, too"


@pytest.mark.long  # two processes that each load all, and calibrate
def test_a_command_becomes_one_checkpoint(tmp_path):
    folder, out = a_mouse(tmp_path / "mouse"), tmp_path / "e.safetensors"
    arguments = ["--sensorium", folder, "--out", out, "--epochs", 2]
    done = torchrun("-m", "rtrecon", "train", *arguments, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"written: {N_NEURONS} neurons") == 1
    assert done.stdout.count("looking for receptive fields") == 1
    assert load(out).card.meta["trained_on"] == "cpu, float32, 2 processes"
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert left == ["e-training.json", "e-training.png", "e.safetensors"]
