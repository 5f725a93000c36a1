"""Calibration in a fraction of the time, for tests that do not use its values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from rtrecon.training import calibration, spread_calibration


@contextlib.contextmanager
def calibrate_quickly() -> Iterator[None]:
    """Calibrate with one data weight, and few steps on few frames.

    The frames are twice the window of the live inversion or more, so that movies are
    compared.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "DATA_WEIGHTS", (0.25,))
        patch.setattr(calibration, "DECODER_DATA_WEIGHTS", (0.25,))
        patch.setattr(calibration, "_STEPS_PER_HOP", 2)
        patch.setattr(calibration, "_MAX_S", 3.0)
        patch.setattr(spread_calibration, "_STEPS_PER_HOP", 2)
        patch.setattr(spread_calibration, "_MAX_S", 3.0)
        yield
