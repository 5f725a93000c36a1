"""Training chooses device and precision, and refuses a device that is missing."""

from __future__ import annotations

import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.training.distributed import (
    SINGLE_PROCESS,
    DistributedContext,
    join_process_group,
    make_context,
)

CPU, SINGLE, HALF = "cpu", torch.float32, torch.bfloat16

# Number of GPUs, whether they support bfloat16; requested device and precision, index
# of the process on this machine; chosen device and precision.
CHOICES = {
    "no GPU": (0, False, ("auto", "auto", 0), (CPU, SINGLE)),
    "a new GPU": (1, True, ("auto", "auto", 0), ("cuda:0", HALF)),
    "an old GPU": (1, False, ("auto", "auto", 0), ("cuda:0", SINGLE)),
    "as requested": (1, True, ("cuda", "float32", 0), ("cuda:0", SINGLE)),
    "not the GPU": (1, True, ("cpu", "auto", 0), (CPU, SINGLE)),
    "half on the CPU": (0, False, ("cpu", "bfloat16", 0), (CPU, HALF)),
    "one GPU per process": (4, True, ("auto", "auto", 3), ("cuda:3", HALF)),
}


def set_machine(monkeypatch, n_gpus, has_bfloat16):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)


@pytest.mark.parametrize("case", CHOICES)
def test_the_best_available_device_is_chosen(monkeypatch, case):
    n_gpus, has_bfloat16, request, (device, precision) = CHOICES[case]
    set_machine(monkeypatch, n_gpus, has_bfloat16)
    context = make_context(*request)
    assert (context.device, context.precision) == (torch.device(device), precision)


def test_a_missing_gpu_is_refused(monkeypatch):
    set_machine(monkeypatch, 0, False)
    with (
        pytest.raises(UserError, match="finds no CUDA GPU; train with --device cpu"),
        join_process_group("cuda", "auto"),
    ):
        raise AssertionError("training started")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    set_machine(monkeypatch, 2, True)
    with pytest.raises(UserError, match="process 3 of this machine finds only 2 GPUs"):
        make_context("auto", "auto", 2)


def test_without_torchrun_there_is_one_process():
    with join_process_group("cpu", "auto") as context:
        assert context == SINGLE_PROCESS
        assert context.is_main
        assert context.broadcast_scalar(lambda: 3.5) == 3.5


def test_a_context_is_described_in_words():
    assert str(SINGLE_PROCESS) == "cpu, float32"
    several = DistributedContext(torch.device("cuda", 1), torch.bfloat16, 1, 4)
    assert str(several) == "cuda, bfloat16, 4 processes"
