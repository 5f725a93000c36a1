"""Runs a function on many items in as many threads as there are cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(
    function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield `function(item)` of all items, in their order.

    It helps where the function spends its time outside the interpreter, as filters of
    scipy and compiled kernels do. Reads at most two items per core ahead, so that
    memory stays bounded. Raises what the function raises.
    """
    n_threads = os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads) as executor:
        pending: deque[Future[_Result]] = deque()
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > 2 * n_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
