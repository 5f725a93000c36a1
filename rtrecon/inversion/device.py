"""Configures torch: repeatable or as fast as possible on a GPU; threads on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder


def configure_torch(*, repeatable: bool) -> None:
    """Configure this process before it computes; does nothing without a GPU."""
    if not torch.cuda.is_available():
        return
    torch.backends.cudnn.benchmark = not repeatable  # all windows have one shape
    if repeatable:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA requires it
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def limit_threads(encoder: LiveEncoder) -> Iterator[None]:
    """Invert an encoder of ours with one thread; restore the number afterwards.

    Its matrices are small: several threads wait for each other, and where other
    programs run, a step takes up to eight times as long.
    """
    n_threads = torch.get_num_threads()
    if isinstance(encoder, CompactEncoder | ConvolutionalEncoder):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
