"""For tests of training: every fit starts from a small bank of Gabors, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fit_world import use_small_gabor_bank


@pytest.fixture(scope="package", autouse=True)
def _a_small_bank_of_gabors_is_made_once() -> Iterator[None]:
    with use_small_gabor_bank():
        yield
