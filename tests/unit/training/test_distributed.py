"""Where training happens: which device and precision are taken, and what is refused."""

from __future__ import annotations

import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.training.distributed import ALONE, Place, join, place

CPU, SINGLE, HALF = "cpu", torch.float32, torch.bfloat16

# GPUs of the machine, whether they are made for bfloat16; what is asked for, by which
# process of the machine -> what is taken
TAKEN = {
    "no GPU": (0, False, ("auto", "auto", 0), (CPU, SINGLE)),
    "a new one": (1, True, ("auto", "auto", 0), ("cuda:0", HALF)),
    "an old one": (1, False, ("auto", "auto", 0), ("cuda:0", SINGLE)),
    "exactly": (1, True, ("cuda", "float32", 0), ("cuda:0", SINGLE)),
    "not that one": (1, True, ("cpu", "auto", 0), (CPU, SINGLE)),
    "half on the CPU": (0, False, ("cpu", "bfloat16", 0), (CPU, HALF)),
    "each its own": (4, True, ("auto", "auto", 3), ("cuda:3", HALF)),
}


def machine(monkeypatch, n_gpus, made_for_half):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: made_for_half)


@pytest.mark.parametrize("case", TAKEN)
def test_the_best_that_is_there_is_taken(monkeypatch, case):
    n_gpus, made_for_half, asked, (device, precision) = TAKEN[case]
    machine(monkeypatch, n_gpus, made_for_half)
    found = place(*asked)
    assert (found.device, found.precision) == (torch.device(device), precision)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    machine(monkeypatch, 0, False)
    with (
        pytest.raises(UserError, match="finds no CUDA GPU; train with --device cpu"),
        join("cuda", "auto"),
    ):
        raise AssertionError("it went on")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    machine(monkeypatch, 2, True)
    with pytest.raises(UserError, match="process 3 of this machine finds only 2 GPUs"):
        place("auto", "auto", 2)


def test_without_torchrun_a_process_is_alone():
    with join("cpu", "auto") as own:
        assert own == ALONE
        assert own.leads
        assert own.told(lambda: 3.5) == 3.5


def test_it_says_what_it_is():
    assert str(ALONE) == "cpu, float32"
    several = Place(torch.device("cuda", 1), torch.bfloat16, 1, 4)
    assert str(several) == "cuda, bfloat16, 4 processes"
