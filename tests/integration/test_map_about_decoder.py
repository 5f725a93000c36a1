"""MAP inversion about the estimate of a linear decoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.encoder.activity_decoder import PAST_FRAMES
from rtrecon.encoder.checkpoint import load_checkpoint, save_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.live_inversion import LiveInversionInputs
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from rtrecon.inversion.offline.live_and_map import reconstruct_live, reconstruct_map
from tests.support import inversion_world as world
from tests.support.decoder_world import make_decoder

WINDOW, HOP, N_FRAMES = 20, 5, 60
N_COEF = len(world.make_natural_prior().mean)


@pytest.fixture(scope="module")
def checkpoint():
    decoder = make_decoder(world.N_NEURONS, N_COEF, strength=0.3)
    offset = torch.zeros(N_COEF)
    return replace(world.make_checkpoint(), decoder=replace(decoder, offset=offset))


@pytest.fixture(scope="module")
def activity():
    return world.make_clip(N_FRAMES).target.activity_tensor()


def invert(problem, activity, steps=3, window=WINDOW):
    inversion = MapInversion(problem, window)
    behavior = torch.zeros(len(activity), 4)
    for start in range(0, len(activity), HOP):
        rows = slice(start, start + HOP)
        inversion.push_activity(activity[rows], behavior[rows])
        for step in range(steps):
            inversion.step(step / steps)
    return inversion


def make_problem(checkpoint, **settings):
    return InverseProblem.from_checkpoint(checkpoint, InversionSettings(**settings))


def test_the_settings_choose_the_prior(checkpoint):
    decoder, calibration = checkpoint.decoder, checkpoint.calibration
    for prior in ("auto", "decoder"):
        about_decoder = make_problem(checkpoint, prior=prior)
        assert about_decoder.decoder is decoder
        torch.testing.assert_close(
            about_decoder.weight, decoder.data_weight / calibration.dispersion
        )
        assert about_decoder.innovation_power is decoder.innovation_power
    of_movies = make_problem(checkpoint, prior="movies")
    assert of_movies.decoder is None
    assert of_movies.innovation_power is calibration.innovation_power
    assert make_problem(world.make_checkpoint()).decoder is None
    unhelpful = replace(checkpoint, decoder=replace(decoder, gain=0.01))
    assert make_problem(unhelpful).decoder is None
    assert make_problem(unhelpful, prior="decoder").decoder is unhelpful.decoder
    with pytest.raises(UserError, match="has no decoder; train it anew"):
        make_problem(world.make_checkpoint(), prior="decoder")


def test_a_checkpoint_stores_its_decoder(checkpoint, tmp_path):
    path = tmp_path / "hybrid.safetensors"
    save_checkpoint(replace(checkpoint, card=replace(checkpoint.card, path=path)))
    found = load_checkpoint(path).decoder
    for name, value in vars(checkpoint.decoder).items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-3, atol=1e-3)


def test_without_steps_the_movie_is_the_decoders_estimate(checkpoint, activity):
    """So a computer that has no time for steps still shows what the decoder finds."""
    inversion = invert(make_problem(checkpoint), activity, steps=0)
    decoder = checkpoint.decoder
    estimate = decoder.decode_frames(decoder.project_activity(activity))[-WINDOW:]
    # New innovations start at random with an s.d. of 0.02, about 30 of them add up.
    difference = inversion.movie_coefficients() - estimate
    assert difference.std() < 0.1 * estimate.std()


def test_newer_activity_changes_the_mean_of_earlier_frames(checkpoint, activity):
    before = invert(make_problem(checkpoint), activity[:-HOP], steps=0)
    after = invert(make_problem(checkpoint), activity, steps=0)
    moved = after.movie_coefficients()[: WINDOW - HOP]
    difference = moved - before.movie_coefficients()[HOP:]
    assert difference[:3].abs().max() < 0.1 * moved.std()  # they had all look-ahead
    assert difference[-1].std() > 0.3 * moved.std()


def test_held_out_neurons_do_not_influence_the_movie(checkpoint, activity):
    held_out = torch.zeros(world.N_NEURONS, dtype=torch.bool)
    held_out[::7] = True
    inputs = LiveInversionInputs(
        checkpoint, InversionSettings(window_frames=WINDOW), held_out, seed=0
    )
    other = activity.clone()
    other[:, held_out] += 3
    movies = []
    for each in (activity, other):
        inversion = MapInversion.from_inputs(inputs)
        inversion.push_activity(each[:WINDOW], torch.zeros(WINDOW, 4))
        inversion.step(0.0)
        movies.append(inversion.movie_coefficients())
    assert torch.equal(*movies)


def test_lost_frames_leave_a_finite_movie(checkpoint, activity):
    lossy = activity.clone()
    lossy[20:45] = torch.nan
    assert invert(make_problem(checkpoint), lossy).movie_coefficients().isfinite().all()


def test_offline_methods_use_the_decoder_as_well(checkpoint):
    """With hardly any weight on the data, the movie is the decoder's."""
    clip, decoder = world.make_clip(N_FRAMES), checkpoint.decoder
    activity = torch.cat(
        [
            torch.full((PAST_FRAMES, world.N_NEURONS), torch.nan),
            clip.target.activity_tensor(),
        ]
    )
    latents = decoder.project_activity(activity)
    expected = make_dct_basis().to_pixels(decoder.decode_frames(latents))
    for prior, is_similar in (("movies", False), ("decoder", True)):
        settings = InversionSettings(
            prior=prior, window_frames=WINDOW, data_weight=1e-6
        )
        live = reconstruct_live(
            checkpoint, clip.target, 1, settings, lags_frames=()
        ).final
        whole = reconstruct_map(checkpoint, clip.target, 6, settings).movie
        for movie in (live, whole):
            frames = slice(WINDOW, N_FRAMES - WINDOW)
            r = np.corrcoef(movie[frames].ravel(), expected[frames].ravel())[0, 1]
            assert (r > 0.9) == is_similar, prior
