"""The correlation that the data weight is chosen by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.training.calibration import InversionResult


def test_pixels_where_nobody_looks_do_not_count():
    rng = np.random.default_rng(0)
    stimulus = rng.normal(size=(200, 9, 16))
    visual_field = np.zeros((9, 16), bool)
    visual_field[2:6, 4:10] = True
    movie = np.where(visual_field, stimulus, -stimulus)
    result = InversionResult(stimulus, movie, visual_field, 0.0, torch.ones(1))
    assert result.r == pytest.approx(1)
