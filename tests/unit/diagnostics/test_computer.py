"""What `rtrecon check` says about torch, GPU, disk and speed of a computer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.diagnostics.computer import (
    describe_computer,
    describe_torch,
    measure_disk_mb_per_s,
)
from rtrecon.diagnostics.speed_table import Speed


@pytest.fixture
def cuda_build(monkeypatch):
    """Make torch look like a build for CUDA on a computer with a GPU."""
    gpu = SimpleNamespace(name="NVIDIA RTX", total_memory=12 * 2**30)
    monkeypatch.setattr(torch, "__version__", "2.9.0+cu128")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: ones(size))


def test_a_gpu_that_computes_is_named(cuda_build):
    assert describe_torch() == (
        "torch: version 2.9.0+cu128, built for CUDA 12.8; the GPU NVIDIA RTX with "
        "12 GB answers"
    )


def test_a_build_for_cuda_without_a_gpu_says_what_to_do(cuda_build, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no GPU answers" in describe_torch()
    assert "update its driver" in describe_torch()


def test_a_gpu_that_does_not_compute_is_reported(cuda_build, monkeypatch):
    def fail(size, device):
        raise RuntimeError("no kernel image is available\nmore lines")

    monkeypatch.setattr(torch, "ones", fail)
    assert describe_torch().endswith(
        "it does not compute: no kernel image is available"
    )


def test_a_build_for_the_cpu_is_reported(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built for the CPU; a GPU would not be used" in describe_torch()


def test_cores_and_memory_are_reported():
    assert " cores, " in describe_computer()
    assert " GB of memory, " in describe_computer()


def test_the_disk_is_measured_and_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("rtrecon.diagnostics.computer._PROBE_BYTES", 2_000_000)
    assert measure_disk_mb_per_s(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="cannot be written"):
        measure_disk_mb_per_s(tmp_path / "missing")


def test_a_speed_says_where_the_movie_would_be_poor():
    speed = Speed(1000, 812.3, {"cpu": 3.0, "cuda": 40.0})
    assert speed.describe() == (
        "1000 neurons: the daemon sustains 812 frames per second of 512 x 512; the "
        "inverter takes 3 steps per hop on the CPU (too few for a good movie), 40 "
        "steps per hop on the GPU"
    )
