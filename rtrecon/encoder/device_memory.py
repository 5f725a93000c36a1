"""Retry a computation in smaller parts when the device runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

_Result = TypeVar("_Result")


def ignore_notice(_: str) -> None:
    """Ignore a notice."""


def retry_on_oom(
    compute: Callable[[], _Result],
    reduce_memory: Callable[[], str],
    notify: Callable[[str], object] = ignore_notice,
) -> _Result:
    """Run `compute()`; on CUDA out-of-memory call `reduce_memory()` and retry.

    reduce_memory: makes the next attempt need less and returns a notice, which is given
    to `notify`; raises UserError where less is impossible.
    """
    while True:
        # The retry happens outside of `suppress`: the error's traceback keeps
        # alive every tensor that filled the memory.
        with suppress(torch.OutOfMemoryError):
            return compute()
        torch.cuda.empty_cache()
        notify(reduce_memory())
