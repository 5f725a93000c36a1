"""All subjects respond causally, at recorded rates, and refuse what they cannot use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.simulate.behavior import BehaviorTraces, simulate_behavior
from rtrecon.simulate.movie import RATE_HZ, SHAPE, make_natural_movie
from rtrecon.simulate.subjects.network_subject import NetworkSubject, scale_behavior
from rtrecon.simulate.subjects.receptive_fields import describe_seen_field
from rtrecon.simulate.subjects.registry import (
    SUBJECTS,
    choose_subject,
    make_subject,
    pin_subject_file,
)
from rtrecon.simulate.subjects.subject import MEAN_RATE_HZ, SubjectOptions
from rtrecon.simulate.trial import simulate_trial
from tests.support.sensorium_checkpoint import make_weights, write_checkpoint

N_NEURONS = 24
NAMES = [kind.name for kind in SUBJECTS]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def movie():
    return make_natural_movie(240, seed=3, clip_frames=60)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("neurons") / "neurons.pth")


@pytest.fixture(scope="module")
def options(checkpoint):
    """By name of the subject."""
    files = {"sensorium": f":{checkpoint}"}
    return {
        name: SubjectOptions(name + files.get(name, ""), N_NEURONS) for name in NAMES
    }


@pytest.fixture(scope="module")
def subjects(options, movie):
    return {name: make_subject(one, movie) for name, one in options.items()}


def make_calm_behavior(n_frames):
    return BehaviorTraces(*np.zeros((3, n_frames), np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_responses_follow_the_movie_causally(subjects, movie, name):
    changed = movie[:60].copy()
    changed[40:] = 255 - changed[40:]
    before, after = (
        subjects[name].respond(shown, make_calm_behavior(60))
        for shown in (movie[:60], changed)
    )
    assert before.shape == (60, len(subjects[name]))
    np.testing.assert_allclose(before[:40], after[:40], rtol=1e-6)
    assert np.abs(after[40:] - before[40:]).max() > 0.1 * before.max()


@pytest.mark.parametrize("name", NAMES)
def test_rates_are_those_of_recordings(subjects, movie, name):
    rate = subjects[name].respond(movie, make_calm_behavior(len(movie)))
    assert rate.min() >= 0
    assert MEAN_RATE_HZ / 2 < rate.mean() * RATE_HZ < 2.5 * MEAN_RATE_HZ


@pytest.mark.parametrize("name", NAMES)
def test_the_same_options_make_the_same_neurons(subjects, options, movie, name):
    clip, behavior = movie[:30], make_calm_behavior(30)
    again = make_subject(options[name], movie)
    other = make_subject(replace(options[name], mouse_seed=1), movie)
    expected = subjects[name].respond(clip, behavior)
    np.testing.assert_array_equal(again.respond(clip, behavior), expected)
    assert not np.allclose(other.respond(clip, behavior), expected)


@pytest.mark.parametrize("name", NAMES)
def test_neurons_respond_only_to_the_field_that_they_see(subjects, options, name):
    subject = subjects[name]
    field = subject.map_seen_field()
    assert field.shape == SHAPE
    assert field.max() == 1
    rng = np.random.default_rng(0)
    gray = np.full((30, *SHAPE), 80, np.uint8)
    noise = np.where(rng.random(gray.shape) < 0.5, 0, 160).astype(np.uint8)
    hidden = np.where(field < 0.002, noise, gray)
    at_rest, to_noise, to_hidden = (
        subject.respond(shown, make_calm_behavior(30))[20:]
        for shown in (gray, noise, hidden)
    )
    assert np.abs(to_hidden - at_rest).mean() < 0.25 * np.abs(to_noise - at_rest).mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(30, 36, 65), (30, 72, 128), (0, 36, 64), (36, 64)])
def test_a_movie_of_another_size_is_refused(subjects, name, shape):
    with pytest.raises(UserError, match="cannot be shown; the neurons see 36 x 64"):
        subjects[name].respond(np.zeros(shape, np.uint8), make_calm_behavior(shape[0]))


@pytest.mark.parametrize("name", ["simulated", "random-cnn"])
def test_the_spread_moves_receptive_fields_apart(options, movie, name):
    seen = [
        (make_subject(replace(options[name], spread=spread), movie).map_seen_field())
        for spread in (1.0, 3.0)
    ]
    near, far = ((field >= 0.1).mean() for field in seen)
    assert near < 0.35
    assert far > 1.5 * near


def test_the_spread_moves_recorded_receptive_fields_apart(options, movie):
    recorded, wide = (
        make_subject(replace(options["sensorium"], spread=spread), movie)
        for spread in (1.0, 2.0)
    )
    near, far = (one.readout.position_px.std(0) for one in (recorded, wide))
    assert (far > 1.3 * near).all()


def measure_direction_preference(subject):
    """Return (n,) |a - b| / (a + b) of responses to opposite directions."""
    x = np.arange(SHAPE[1])
    t = np.arange(90)[:, None]
    responses = []
    for sign in (1, -1):
        wave = np.sin(2 * np.pi * (0.12 * x - sign * 3 / RATE_HZ * t))
        shown = np.repeat((80 + 60 * wave)[:, None], SHAPE[0], 1).astype(np.uint8)
        responses.append(subject.respond(shown, make_calm_behavior(90))[30:].mean(0))
    a, b = responses
    return np.abs(a - b) / np.maximum(a + b, 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_share_of_direction_selective_neurons_is_as_asked(options, movie, name):
    none, all_of_them = (
        make_subject(replace(options[name], direction_selective=share), movie)
        for share in (0.0, 1.0)
    )
    without = measure_direction_preference(none)
    with_it = measure_direction_preference(all_of_them)
    assert with_it.mean() > 2 * without.mean()


def test_half_precision_changes_rates_little(subjects, movie):
    for subject in subjects.values():
        if not isinstance(subject, NetworkSubject):
            continue
        rates = [
            replace(subject, precision=precision)
            .respond(movie[:60], make_calm_behavior(60))
            .ravel()
            for precision in (torch.float32, torch.bfloat16)
        ]
        assert np.corrcoef(*rates)[0, 1] > 0.995


def test_a_network_with_behavior_responds_to_it(movie, tmp_path):
    file = write_checkpoint(tmp_path / "plus.pth", make_weights(n_channels=4))
    subject = make_subject(SubjectOptions(f"sensorium:{file}", N_NEURONS), movie)
    behavior = simulate_behavior(60, RATE_HZ, np.random.default_rng(0))
    running = replace(behavior, running_speed=behavior.running_speed + 20)
    rates = [subject.respond(movie[:60], one) for one in (behavior, running)]
    assert np.abs(rates[0] - rates[1]).mean() > 0.05 * rates[0].mean()


def test_behavior_is_scaled_to_unit_variance():
    hours = simulate_behavior(round(3600 * RATE_HZ), RATE_HZ, np.random.default_rng(1))
    np.testing.assert_allclose(scale_behavior(hours).std(0), 1, atol=0.1)


# -- noise --------------------------------------------------------------------------


def test_sensorium_noise_has_the_mean_of_the_rate_and_five_times_its_sd(subjects):
    movie = np.concatenate([make_natural_movie(600, seed=9)] * 4)
    behavior = make_calm_behavior(len(movie))
    response = simulate_trial(subjects["simulated"], movie, behavior, 1, "sensorium")
    ratio = response.spikes.std(0) / response.spikes.mean(0)
    assert response.spikes.mean() == pytest.approx(response.rate.mean(), rel=0.2)
    assert np.median(ratio) == pytest.approx(5, rel=0.2)


def test_sensorium_noise_is_constant_within_a_volume(subjects, movie):
    behavior = make_calm_behavior(len(movie))
    spikes = simulate_trial(
        subjects["random-cnn"], movie, behavior, 1, "sensorium"
    ).spikes
    has_changed = (np.diff(spikes, axis=0) != 0).any(1)
    assert has_changed.sum() == pytest.approx(len(movie) * 8 / RATE_HZ, abs=2)


def test_the_seed_of_a_trial_changes_only_its_noise(subjects, movie):
    behavior = make_calm_behavior(60)
    first, second = (
        simulate_trial(subjects["random-cnn"], movie[:60], behavior, seed)
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(first.rate, second.rate)
    assert (first.spikes != second.spikes).any()


# -- what is refused ----------------------------------------------------------------

MISTAKES = {
    "unknown": ({"subject": "rat"}, r"'rat' is not known; choose one of: simulated"),
    "no file": ({"subject": "sensorium"}, "needs a file; write sensorium:FILE"),
    "a file too many": ({"subject": "simulated:a.pth"}, "takes no file"),
    "missing file": (
        {"subject": "sensorium:nowhere.pth"},
        "nowhere.pth does not exist",
    ),
    "no neurons": ({"n_neurons": 0}, "0 neurons are too few"),
    "negative neurons": ({"n_neurons": -3}, "-3 neurons are too few"),
    "negative seed": ({"mouse_seed": -1}, "seed -1 is negative"),
    "no spread": ({"spread": 0.0}, "spread = 0 is not possible; give more than 0"),
    "negative spread": ({"spread": -1.0}, "spread = -1 is not possible"),
    "spread is NaN": ({"spread": float("nan")}, "spread = nan is not possible"),
    "infinite spread": ({"spread": float("inf")}, "spread = inf is not possible"),
    "too wide": ({"spread": 1e3}, r"neurons have their receptive field on the screen"),
    "share too large": ({"direction_selective": 1.1}, "give a share from 0 to 1"),
    "negative share": ({"direction_selective": -0.1}, "give a share from 0 to 1"),
    "share is NaN": ({"direction_selective": float("nan")}, "a share from 0 to 1"),
    "noise": ({"noise": "white"}, "noise 'white' is not known; .*poisson, sensorium"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_impossible_options_are_refused_with_a_sentence(movie, mistake):
    changes, pattern = MISTAKES[mistake]
    wrong = replace(SubjectOptions(n_neurons=N_NEURONS), **changes)
    with pytest.raises(UserError, match=pattern):
        make_subject(wrong, movie)


def test_more_neurons_than_the_file_has_are_refused(options, movie):
    with pytest.raises(UserError, match=r"only 40 neurons .* but 41 are asked for"):
        make_subject(replace(options["sensorium"], n_neurons=41), movie)


def test_another_file_than_at_the_training_is_refused(options, movie, tmp_path):
    pinned = pin_subject_file(options["sensorium"])
    make_subject(pinned, movie)
    other = write_checkpoint(tmp_path / "other.pth", make_weights(n_neurons=30))
    moved = choose_subject(pinned, f"sensorium:{other}")
    with pytest.raises(UserError, match="is not the file whose neurons"):
        make_subject(moved, movie)


def test_another_subject_than_the_encoders_is_refused(options):
    with pytest.raises(UserError, match="trained on subject simulated, not on random"):
        choose_subject(options["simulated"], "random-cnn")
    assert choose_subject(options["simulated"], None) == options["simulated"]


def test_the_seen_part_of_the_screen_is_described():
    field = np.zeros(SHAPE)
    assert "whole screen" in describe_seen_field(field + 1)
    field[9:18, 32:48] = 1
    assert describe_seen_field(field) == (
        "the neurons see 6% of the screen: rows 10 to 18 of 36, columns 33 to 48 of "
        "64; nothing is known of the rest"
    )
