"""The sentences at the end of a training say whether its encoder is good enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtrecon.training import assess_decoder, assess_encoder
from tests.support.decoder_world import make_decoder


def test_an_encoder_near_its_ceiling_is_good_enough():
    (sentence,) = assess_encoder({"validation_r": 0.31, "fraction_of_ceiling": 0.72})
    assert "r = 0.310 on clips that training did not see" in sentence
    assert "72% of what noise allows: good enough" in sentence


def test_without_a_known_ceiling_r_decides():
    (good,) = assess_encoder({"validation_r": 0.15, "fraction_of_ceiling": None})
    assert good.endswith("good enough to reconstruct movies")
    (weak,) = assess_encoder({"validation_r": 0.06})
    assert "movies will be blurred; record more minutes" in weak


def test_an_encoder_far_below_its_ceiling_is_not_good_enough():
    (sentence,) = assess_encoder({"validation_r": 0.2, "fraction_of_ceiling": 0.3})
    assert "movies will be blurred" in sentence


@pytest.mark.parametrize("r", [-0.01, 0.0, 0.02])
def test_r_near_0_is_a_warning_that_names_the_likely_causes(r):
    found, warning = assess_encoder({"validation_r": r, "fraction_of_ceiling": None})
    assert "no movie can be reconstructed" in found
    assert all(cause in warning for cause in ("clock", "masks", "screen", "off"))


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (0.031, "by +0.031 on clips that training did not see: the inversion uses it"),
        (
            -0.004,
            "by -0.004 on clips that training did not see: the inversion does not",
        ),
    ],
)
def test_training_says_whether_the_decoder_is_used(gain, words):
    assert words in assess_decoder(replace(make_decoder(), gain=gain))
