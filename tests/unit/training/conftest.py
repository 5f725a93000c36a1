"""For tests of training: every fit starts from a small bank of Gabors, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtrecon.training.compact import gabor_initialization
from tests.support.fit_world import cache_gabor_pairs

# One size on a coarse grid. How well an encoder fits is a matter of
# tests/integration/test_fit_encoder.py, which uses the real bank.
SCALES = ((3.0, 9.0, 0.09),)


@pytest.fixture(scope="package", autouse=True)
def _a_small_bank_of_gabors_is_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, cache_gabor_pairs():
        patch.setattr(gabor_initialization, "_SCALES", SCALES)
        yield
