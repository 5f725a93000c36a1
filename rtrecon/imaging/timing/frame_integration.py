"""Integration: sums the activity of microscope frames over one encoder frame."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

# An encoder frame of which less than this share was measured is NaN. A little less
# than a half, so that rounding does not decide about exactly a half.
MIN_MEASURED_SHARE = 0.499


class FrameIntegral:
    """The activity of n neurons in one encoder frame, while its parts come in.

    is_amount: values are amounts per microscope frame, such as activity in dF/F or
    spike counts, and are summed. Otherwise they are rates, and are averaged over time.
    """

    def __init__(self, *, is_amount: bool = True) -> None:
        self._is_amount = is_amount
        self._sum = np.zeros(0, np.float32)
        self._measured = np.zeros(0, np.float32)

    @property
    def is_empty(self) -> bool:
        """Whether no part was added yet."""
        return not len(self._sum)

    def clear(self) -> None:
        """Forget all parts."""
        self._sum = np.zeros(0, np.float32)
        self._measured = np.zeros(0, np.float32)

    def add_part(
        self, values: Array, value_share: float, measured_share: float
    ) -> None:
        """Add a part of the values, (n,) float32, of one microscope frame.

        value_share: the share of the microscope frame that lies in this encoder frame.
        measured_share: the share of the encoder frame that it fills. NaN adds nothing.
        """
        self._require_size(len(values))
        is_measured = ~np.isnan(values)
        weight = np.float32(value_share if self._is_amount else measured_share)
        self._sum += np.where(is_measured, weight * values, np.float32(0))
        self._measured += np.float32(measured_share) * is_measured

    def take(self, n: int) -> Array:
        """Return the values of the encoder frame, (n,) float32, and begin the next."""
        self._require_size(n)
        measured, values = self._measured, self._sum
        self.clear()
        if not self._is_amount:
            values = np.divide(values, measured, where=measured > 0, out=values)
        values[measured < MIN_MEASURED_SHARE] = np.nan
        return values

    def _require_size(self, n: int) -> None:
        if len(self._sum) != n:
            self._sum, self._measured = np.zeros((2, n), np.float32)
