"""For tests of training: what is the same for every fit is computed once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fit_world import cache_gabor_pairs


@pytest.fixture(scope="package", autouse=True)
def _gabor_pairs_are_made_once() -> Iterator[None]:
    with cache_gabor_pairs():
        yield
