"""A window's prior generates frames about a mean that moves."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.window_prior import WindowPrior

N_FRAMES, N_COEF = 12, 5


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return WindowPrior(
        previous_mean=torch.randn(N_COEF),
        mean=torch.randn(N_FRAMES, N_COEF),
        ar_coefficient=torch.rand(N_COEF),
        innovation_sd=0.1 + torch.rand(N_FRAMES, N_COEF),
        frame_error_sd=torch.rand(N_COEF),
    )


def test_frames_follow_the_autoregression_about_the_mean(prior):
    z, before = torch.randn(1 + N_FRAMES, N_COEF), torch.randn(N_COEF)
    deviation = before - prior.previous_mean + prior.frame_error_sd * z[0]
    for t, frame in enumerate(prior.generate_frames(z, before)):
        deviation = prior.ar_coefficient * deviation
        deviation = deviation + prior.innovation_sd[t] * z[1 + t]
        torch.testing.assert_close(frame, prior.mean[t] + deviation)
