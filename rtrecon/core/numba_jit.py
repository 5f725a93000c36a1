"""How kernels are compiled: one thread, no lock held, kept on disk between runs.

Kernels take arrays and fill `out`; they know no policy and keep no memory. They compile
at their first call for the array types they are given (`Chain.warm_up` does that for a
live session). Frames are int16 or uint16, all else float32 unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile as written: NaN is respected and sums keep their order."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(_Function, compiled)


def summing_kernel(function: _Function) -> _Function:
    """Compile with sums reordered, so that they fill vector registers."""
    compiled = numba.njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "nsz"},
    )(function)
    return cast(_Function, compiled)
