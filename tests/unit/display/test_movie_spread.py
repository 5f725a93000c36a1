"""What the display says of how sure each frame is."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.movie_spread import MovieSpread
from rtrecon.protocol.messages import Spread

PRIOR = 50


def make_spread(*by_age: int) -> MovieSpread:
    sd = np.array([*by_age, PRIOR], np.uint8)[:, None, None].repeat(3, 1).repeat(4, 2)
    message = Spread(
        session="s",
        seq=0,
        t=0.0,
        encoder_frame=9,
        hop_frames=5,
        shape=sd.shape,
        sd=float(by_age[-1]),
        data_share=0.5,
    )
    return MovieSpread(message, sd)


@pytest.mark.parametrize(
    ("age_frames", "sd"), [(0, 40), (4, 40), (5, 30), (14, 10), (99, 10)]
)
def test_each_age_has_its_own_spread(age_frames: int, sd: int):
    spread = make_spread(40, 30, 10)
    assert spread.typical_sd(age_frames) == pytest.approx(sd)
    assert spread.data_share(age_frames) == pytest.approx(1 - (sd / PRIOR) ** 2)


def test_nothing_is_decided_where_the_movie_is_as_unsure_as_the_prior():
    spread = make_spread(PRIOR, PRIOR + 20)
    assert not spread.data_share(0).any()
    assert not spread.data_share(5).any()
    assert spread.typical_sd(0) == 0.0
