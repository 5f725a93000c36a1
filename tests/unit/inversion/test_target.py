"""The target of an inversion: activity of the neurons that may be used."""

from __future__ import annotations

import numpy as np

from rtrecon.inversion.offline.target import InversionTarget


def test_unused_neurons_become_nan_in_a_copy():
    activity = np.arange(6.0).reshape(2, 3)
    target = InversionTarget(
        activity, np.ones((2, 2)), used_neurons=np.array([True, False, True])
    )
    assert len(target) == 2
    recorded = target.activity_tensor()
    assert recorded[:, 1].isnan().all()
    assert recorded[:, [0, 2]].tolist() == [[0, 2], [3, 5]]
    assert np.isfinite(activity).all()
