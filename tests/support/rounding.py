"""How much two float32 sums of the same terms may differ on any processor."""

from __future__ import annotations

import math

_UNIT_ROUNDOFF = 2.0**-24  # of float32
_STANDARD_DEVIATIONS = 4.0  # that each of the two sums may be off


def float32_tolerance(n_summands: int, magnitude: float = 1.0) -> float:
    """Return the absolute difference that two orders of one float32 sum may have.

    Processors, numbers of threads and shapes of matrices sum in different orders. Each
    of n additions rounds by at most 2^-24 of the partial sum, `magnitude` at most, and
    these errors add up like a random walk: sqrt(n) * 2^-24 * magnitude (Higham & Mary,
    SIAM J. Sci. Comput. 41, 2019). Each of the two sums may be off by four times this.
    """
    error = math.sqrt(n_summands) * _UNIT_ROUNDOFF * magnitude
    return 2 * _STANDARD_DEVIATIONS * error
