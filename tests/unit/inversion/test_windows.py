"""Clips are cut into windows and averaged back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.inversion.offline.windows import cut_windows
from tests.support.rounding import float32_tolerance

# frames of a clip, of a window, between starts -> windows as published, and starts
LAID = [
    (300, 32, 8, 35, [*range(0, 265, 8), 268]),
    (60, 32, 8, 5, [0, 8, 16, 24, 28]),
    (64, 32, 8, 6, [0, 8, 16, 24, 32]),  # the last is flush with the end by itself
    (64, 32, 32, 3, [0, 32]),
    (70, 32, 32, 3, [0, 32, 38]),
    (32, 32, 8, 2, [0]),
    (20, 32, 8, 2, [0]),  # shorter than a window
]


@pytest.mark.parametrize(("n_frames", "size", "stride", "count", "starts"), LAID)
def test_windows_start_where_published(n_frames, size, stride, count, starts):
    windows = cut_windows(n_frames, size, stride)
    assert windows.starts.tolist() == starts
    assert windows.counts.sum() == count
    assert len(windows) == len(starts)
    assert windows.frame_indices()[-1, -1] == n_frames - 1


@pytest.mark.parametrize(("n_frames", "size", "stride"), [case[:3] for case in LAID])
@pytest.mark.parametrize("past", [0, 3])
def test_windows_of_a_clip_average_back_to_the_clip(n_frames, size, stride, past):
    clip = torch.rand(past + n_frames, 2, 3)
    windows = cut_windows(n_frames, size, stride)
    again = windows.average_windows(clip[windows.frame_indices(past)], past)
    # At most all windows are summed and divided by their number.
    np.testing.assert_allclose(again, clip, rtol=float32_tolerance(len(windows)))


def test_each_frame_is_the_weighted_mean_of_its_windows():
    windows = cut_windows(
        5, 4, 1
    )  # frames 0-3, and 1-4 twice: by stride and by the end
    parts = torch.stack([torch.zeros(4), torch.ones(4)])
    expected = [0, 2 / 3, 2 / 3, 2 / 3, 1]
    np.testing.assert_allclose(windows.average_windows(parts), expected, rtol=1e-6)
