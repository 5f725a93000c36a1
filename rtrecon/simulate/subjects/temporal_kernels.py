"""How cells of the mouse's lateral geniculate nucleus (LGN) filter the movie in time.

A kernel is the difference of two gamma functions: a fast response and a slower one of
opposite sign. Sustained cells sum light over time; transient cells respond to changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.movie import RATE_HZ

N_TAPS = 20  # frames of memory, 0.67 s
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class KernelClass:
    """One class of LGN cells; times in ms.

    n_cells: recorded cells of this class, the weight with which neurons are assigned
    to it. The fast response begins after `delay_ms` and peaks `fast_ms` later, the slow
    one `slow_ms` later. slow_weight: peak of the slow response divided by that of the
    fast one. fast_shape, slow_shape: of the gamma functions; larger is more compact.
    """

    name: str
    n_cells: int
    delay_ms: float
    fast_ms: float
    slow_ms: float
    slow_weight: float
    fast_shape: float
    slow_shape: float

    def sample_kernel(self) -> Array:
        """Return (N_TAPS,) float32 of unit norm; the newest frame first."""
        t_ms = np.arange(N_TAPS) * 1e3 / RATE_HZ - self.delay_ms
        fast = _gamma(t_ms, self.fast_ms, self.fast_shape)
        slow = _gamma(t_ms, self.slow_ms, self.slow_shape)
        kernel = fast - self.slow_weight * slow
        kernel[np.abs(kernel) < _NEGLIGIBLE * np.abs(kernel).max()] = 0  # for speed
        return np.asarray(kernel / np.linalg.norm(kernel), np.float32)


# Fitted to the kernels that the Allen Institute fitted to recorded cells (bmtk 1.2.0,
# BSD-3-Clause), sampled at 30 Hz. The name is that of the class in bmtk: sustained (s)
# or transient (t), ON or OFF, and the preferred temporal frequency in Hz. The cells of
# similar classes are counted together. The fits explain this fraction of the kernels'
# energy, in the order of the table: 1.000, 1.000, 1.000, 1.000, 1.000, 1.000, 0.988.
KERNEL_CLASSES = (
    KernelClass("sON_TF1", 7, 59.4, 60.9, 175.2, 0.291, 2.88, 4.13),
    KernelClass("sON_TF8", 13, 67.0, 66.7, 86.1, 0.93, 7.87, 14.62),
    KernelClass("sOFF_TF1", 10, 59.9, 43.6, 154.9, 0.393, 1.65, 4.04),
    KernelClass("sOFF_TF4", 14, 65.4, 46.0, 92.5, 0.235, 15, 5.62),
    KernelClass("sOFF_TF15", 4, 40.8, 52.1, 65.8, 0.846, 8.71, 14.91),
    KernelClass("tOFF_TF4", 7, 31.6, 59.8, 74.8, 0.968, 2.26, 3.37),
    KernelClass("tOFF_TF15", 8, 89.5, 32.0, 40.4, 0.642, 9.13, 14.38),
)


def _gamma(t_ms: Array, peak_ms: float, shape: float) -> Array:
    """Return a gamma function of height 1 at `peak_ms`; 0 before t = 0."""
    ratio = np.maximum(t_ms, 0.0) / peak_ms
    return np.asarray(ratio**shape * np.exp(shape * (1 - ratio)))
