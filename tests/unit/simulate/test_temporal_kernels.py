"""The parametric kernels are those that were measured in the mouse's LGN."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.simulate.subjects.temporal_kernels import KERNEL_CLASSES, N_TAPS

NAMES = [one.name for one in KERNEL_CLASSES]


@pytest.mark.parametrize("kernel_class", KERNEL_CLASSES, ids=NAMES)
def test_a_kernel_follows_the_past_and_has_unit_norm(kernel_class):
    kernel = kernel_class.sample_kernel()
    assert kernel.shape == (N_TAPS,)
    assert np.linalg.norm(kernel) == pytest.approx(1, abs=1e-3)
    assert kernel[0] == 0
    assert 30 < np.abs(kernel).argmax() / 30 * 1e3 < 150


@pytest.mark.parametrize("kernel_class", KERNEL_CLASSES, ids=NAMES)
def test_a_kernel_explains_the_measured_one(shared_data, kernel_class):
    file = shared_data / "real_mouse" / "lgn_kernels_30hz.npz"
    if not file.exists():
        pytest.skip(f"there is no {file}; see docs/test-data.md")
    with np.load(file) as measured:
        names = measured["names"].tolist()
        kernel = measured["kernels"][names.index(kernel_class.name)]
    explained = (kernel_class.sample_kernel() @ kernel) ** 2 / (kernel @ kernel)
    assert explained > 0.98


def test_transient_cells_respond_to_changes_and_sustained_ones_to_light():
    sums = {one.name: abs(one.sample_kernel().sum()) for one in KERNEL_CLASSES}
    transient = [total for name, total in sums.items() if name.startswith("t")]
    sustained = [total for name, total in sums.items() if name.startswith("s")]
    assert np.mean(transient) < np.mean(sustained)
