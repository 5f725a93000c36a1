"""What is asked for, and of whom."""

from __future__ import annotations

import numpy as np

from rtrecon.inversion.offline.target import Target


def test_neurons_not_kept_are_as_lost_and_the_given_arrays_stay():
    activity = np.arange(6.0).reshape(2, 3)
    target = Target(activity, np.ones((2, 2)), kept=np.array([True, False, True]))
    assert len(target) == 2
    recorded = target.recorded()
    assert recorded[:, 1].isnan().all()
    assert recorded[:, [0, 2]].tolist() == [[0, 2], [3, 5]]
    assert np.isfinite(activity).all()
