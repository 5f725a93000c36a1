"""A GPU does the same again to the bit, or else what is fastest for it."""

from __future__ import annotations

import os

import torch


def choose(*, repeatable: bool) -> None:
    """Choose for this process, before anything is computed; a CPU is not touched."""
    if not torch.cuda.is_available():
        return
    torch.backends.cudnn.benchmark = not repeatable  # windows keep their shape
    if repeatable:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as CUDA asks
        torch.use_deterministic_algorithms(True, warn_only=True)
