"""Step sizes of the published protocol, computed by hand."""

from __future__ import annotations

import pytest

from rtrecon.inversion.offline.published_settings import PublishedSettings

# step -> rate 1000, times the share of the warm-up, times the root of 1 - 0.999^(i+1),
# divided twice by 1 - 0.9^(i+1)
PUBLISHED = {
    1: 123.8510,  # 100 * 0.0447102 / 0.19^2
    5: 176.1872,  # 500 * 0.0773629 / 0.468559^2
    10: 222.1895,  # 1000 * 0.1046192 / 0.6861894^2
    100: 310.0350,  # bias of the momentum: nothing left
    999: 795.1758,
}


@pytest.mark.parametrize(("step", "size"), PUBLISHED.items())
def test_step_sizes_equal_the_published_ones(step, size):
    assert PublishedSettings().step_size(step) == pytest.approx(size, rel=1e-4)


def test_peculiarities_can_be_switched_off():
    once = PublishedSettings(doubled_correction=False)
    assert once.step_size(1) == pytest.approx(0.19 * PUBLISHED[1], rel=1e-4)
    plain = PublishedSettings(doubled_correction=False, ramp=0, warm_up=1)
    assert plain.step_size(1) == pytest.approx(1000 / 0.19)
    assert plain.step_size(999) == pytest.approx(1000)
