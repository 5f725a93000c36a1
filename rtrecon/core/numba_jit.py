"""Compiles numerical kernels with Numba: one thread, no GIL, cached on disk.

Kernels take arrays and fill `out`; they have no state and read no settings. They are
compiled
at their first call with new array types (`FrameProcessor.warm_up` does that before a
live session). Frames are int16 or uint16, everything else is float32 unless a docstring
says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def jit_kernel(function: _Function) -> _Function:
    """Compile as written: NaN is respected and sums keep their order."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(_Function, compiled)


def jit_summing_kernel(function: _Function) -> _Function:
    """Compile with sums reordered, so that they fill vector registers."""
    compiled = numba.njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "nsz"},
    )(function)
    return cast(_Function, compiled)
