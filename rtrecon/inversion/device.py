"""Configures torch for a GPU: bit-for-bit repeatable, or as fast as possible."""

from __future__ import annotations

import os

import torch


def configure_torch(*, repeatable: bool) -> None:
    """Configure this process before it computes; does nothing without a GPU."""
    if not torch.cuda.is_available():
        return
    torch.backends.cudnn.benchmark = not repeatable  # all windows have one shape
    if repeatable:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA requires it
        torch.use_deterministic_algorithms(True, warn_only=True)
