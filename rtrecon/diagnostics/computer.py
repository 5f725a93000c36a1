"""What this computer has: cores, memory, disk, and which torch with which GPU."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

from rtrecon.core.errors import UserError
from rtrecon.session.provenance import describe_machine

_PROBE_BYTES = 64_000_000  # written to the disk; also a slow one needs only seconds
_PROBE_NAME = ".rtrecon-disk-check"
_GIB = 2**30


def describe_computer() -> str:
    """Return a sentence about processor, cores and memory."""
    machine = describe_machine()
    return (
        f"computer: {machine.processor}, {machine.cores} cores, "
        f"{machine.memory_gb:.0f} GB of memory, {machine.system}"
    )


def describe_torch() -> str:
    """Return a sentence: for what torch was built, and whether a GPU computes."""
    built = f"torch: version {torch.__version__}"
    if torch.version.cuda is None:
        return f"{built}, built for the CPU; a GPU would not be used"
    built += f", built for CUDA {torch.version.cuda}"
    if not torch.cuda.is_available():
        return (
            f"{built}, but no GPU answers; if this computer has one, run 'nvidia-smi' "
            "and update its driver; if not, the build for the CPU takes less disk space"
        )
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return f"{built}; a GPU was found, but it does not compute: {reason}"
    properties = torch.cuda.get_device_properties(0)
    memory_gb = properties.total_memory / _GIB
    return f"{built}; the GPU {properties.name} with {memory_gb:.0f} GB answers"


def measure_disk_mb_per_s(folder: Path) -> float:
    """Return how fast the disk of a folder takes new data, in MB per second.

    Raises UserError if the folder cannot be written.
    """
    probe = folder / _PROBE_NAME
    block = os.urandom(1_000_000)  # some disks compress zeros
    try:
        start_s = time.perf_counter()
        with probe.open("wb") as file:
            for _ in range(_PROBE_BYTES // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        duration_s = time.perf_counter() - start_s
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error}; choose another"
        ) from None
    finally:
        probe.unlink(missing_ok=True)
    return _PROBE_BYTES / 1e6 / duration_s
