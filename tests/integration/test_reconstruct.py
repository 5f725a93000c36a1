"""`rtrecon reconstruct` on a recorded session: files in, files out, resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.inversion.offline import command, jobs
from rtrecon.inversion.offline.clips import stretch
from rtrecon.inversion.offline.command import Plan, reconstruct
from rtrecon.inversion.offline.compact import reconstruct_live, reconstruct_map
from rtrecon.inversion.offline.encoder_files import open_checkpoint, open_encoder
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.metrics.similarity import video_correlation
from rtrecon.sources.video import read_clip
from tests.support import inversion_world as world

CLIP, N_FRAMES = world.clip(36), 30
STEPS = {"live": 6, "map": 10, "published": 6}
METHODS = list(STEPS)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return world.recorded(tmp_path_factory.mktemp("recordings"), CLIP, first=50)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> list[Path]:
    """Two trained on the same neurons."""
    folder = tmp_path_factory.mktemp("encoders")
    return [world.saved(folder / f"{name}.safetensors", name) for name in (0, 5)]


@pytest.fixture
def plan(session, encoders, tmp_path):
    def made(method="live", **changes):
        known = {
            "source": stretch(session, 0.0, N_FRAMES / 30),
            "out": tmp_path / "out",
            "encoders": encoders[:1],
            "method": method,
            "steps": STEPS[method],
        }
        return Plan(**{**known, **changes})

    return made


def directly(method: str, plan: Plan, encoder: Path) -> np.ndarray:
    """What the method itself makes of the clip."""
    clip = plan.source.load()
    if method == "published":
        settings = PublishedSettings(steps=plan.steps)
        opened = open_encoder(encoder, clip)
        return reconstruct_published([opened], clip.target, settings).movies[0]
    checkpoint = open_checkpoint(encoder, clip)
    if method == "live":
        return reconstruct_live(checkpoint, clip.target, plan.steps).final
    return reconstruct_map(checkpoint, clip.target, plan.steps).movie


@pytest.mark.parametrize("method", METHODS)
def test_files_are_written(plan, method):
    given = plan(method)
    outcome = reconstruct(given)
    movie = np.load(given.out / "movie.npy", allow_pickle=False)
    np.testing.assert_array_equal(movie, outcome.movie)
    assert movie.shape == (N_FRAMES, 36, 64)
    about = json.loads((given.out / "reconstruction.json").read_text())
    assert about == outcome.about
    clip = given.source.load()
    settled = slice(about["counted_from_frame"], None)
    r = video_correlation(movie[settled], clip.shown[settled])
    assert about["pixel_correlation"] == pytest.approx(r, abs=1e-4)
    assert (about["method"], about["steps"]) == (method, STEPS[method])
    assert list(about["encoders"]) == [str(given.encoders[0])]
    video = read_clip(given.out / "reconstruction.mp4", (36, 130))
    assert video.shape == (N_FRAMES, 36, 130)
    left = clip.shown[:, 4:-4, 4:60]
    assert np.abs(video[:, 4:-4, 4:60] - left).mean() < 8


@pytest.mark.parametrize("method", METHODS)
def test_the_movie_is_the_mean_of_what_the_encoders_made(plan, encoders, method):
    given = plan(method, encoders=encoders)
    made = [directly(method, given, encoder) for encoder in encoders]
    mean = np.mean(made, 0)
    if method == "published":
        mean = command.gaussian_filter(mean, 0.5)
    np.testing.assert_allclose(reconstruct(given).movie, mean, rtol=1e-5)


def test_a_live_replay_tells_of_every_lag(plan):
    found = reconstruct(plan("live", steps=10)).about
    by_lag = found["pixel_correlation_by_lag_s"]
    assert list(by_lag) == ["0.10", "0.20", "0.40", "0.80", "1.13"]
    assert by_lag["1.13"] == found["pixel_correlation"]


def test_figures_are_of_settled_frames_and_pixels_in_the_mask(plan, tmp_path):
    mask = np.zeros((36, 64), np.float32)
    mask[8:30, 10:50], mask[0] = 1.0, 0.9
    np.save(tmp_path / "mask.npy", mask)
    outcome = reconstruct(plan("published", mask=tmp_path / "mask.npy"))
    first = outcome.about["counted_from_frame"]
    shown, movie = CLIP.shown[first:N_FRAMES], outcome.movie[first:]
    inside = mask >= 1
    r = np.corrcoef(np.rint(shown)[:, inside].ravel(), movie[:, inside].ravel())[0, 1]
    assert outcome.about["pixel_correlation"] == pytest.approx(r, abs=1e-3)
    assert (outcome.movie[:, 20, 60] == 127.5).all()  # outside: as it began
    assert np.ptp(outcome.movie[:, 0, 20]) > 0  # above a half: free to move


def test_published_masks_have_rows_around_what_is_visible(tmp_path):
    mask = np.random.default_rng(0).random((64, 64))
    np.save(tmp_path / "mask_m0.npy", mask)
    read = command.read_mask(tmp_path / "mask_m0.npy")
    np.testing.assert_array_equal(read, mask[14:50].astype(np.float32))


def test_where_the_stimulus_is_not_known_the_movie_is_alone(plan, tmp_path):
    class Blind:
        name = "blind"

        def load(self):
            return replace(CLIP, shown=None)

    outcome = reconstruct(plan("live", source=Blind()))
    assert outcome.about["pixel_correlation"] is None
    assert "stimulus not known" in outcome.sentence()
    video = read_clip(tmp_path / "out" / "reconstruction.mp4")
    assert video.shape == (36, 36, 64)


# -- interrupted, and done before ------------------------------------------------------


class Interrupted(Exception):
    pass


def test_an_interrupted_reconstruction_goes_on(plan, session, encoders, tmp_path):
    source = stretch(session, 0, 0.4)  # one window
    given = plan("published", steps=54, encoders=encoders, source=source)

    def interrupt(stage, share, word):
        if stage.startswith("encoder 2") and share > 52 / 54:
            raise Interrupted

    with pytest.raises(Interrupted):
        reconstruct(given, interrupt)
    told = []
    again = reconstruct(given, lambda *report: told.append(report))
    assert told[0][1:] == (1.0, "made before")
    assert told[1][2].startswith("step 51,")
    whole = reconstruct(replace(given, out=tmp_path / "whole"))
    np.testing.assert_array_equal(again.movie, whole.movie)
    assert again.about["passes"] == whole.about["passes"]
    kept = {file.name for file in (given.out / "parts").iterdir()}
    assert len(kept) == 2  # and nothing of what was begun


def test_what_was_made_for_others_is_made_anew(plan, encoders, session):
    given = plan("map", source=stretch(session, 0, 0.5))
    reconstruct(given)
    others = [
        replace(given, method="live"),
        replace(given, steps=11),
        replace(given, encoders=encoders[1:]),
        replace(given, source=stretch(session, 0.1, 0.5)),
    ]
    for n_others, other in enumerate(others, start=1):
        reconstruct(other)
        assert len(list((given.out / "parts").iterdir())) == 1 + n_others
    reconstruct(given)
    assert len(list((given.out / "parts").iterdir())) == 1 + len(others)


def test_a_damaged_part_is_told(plan, session):
    given = plan("map", source=stretch(session, 0, 0.5))
    reconstruct(given)
    (part,) = (given.out / "parts").iterdir()
    part.write_bytes(b"half of it")
    with pytest.raises(UserError, match="delete it to make it anew"):
        reconstruct(given)


# -- refused ---------------------------------------------------------------------------


def stranger(folder: Path, n_neurons: int, order: slice) -> Path:
    clip = world.clip(40, neurons=n_neurons)
    return world.recorded(folder, replace(clip, ids=clip.ids[order]))


def test_activity_of_other_neurons_is_refused(plan, tmp_path):
    fewer = stranger(tmp_path / "fewer", 50, slice(None))
    with pytest.raises(UserError, match=r"of 50 neurons, encoder .* knows 200"):
        reconstruct(plan(source=stretch(fewer, 0, 1)))
    turned = stranger(tmp_path / "turned", world.N_NEURONS, slice(None, None, -1))
    with pytest.raises(UserError, match=r"neuron 199 in place 0, where .* expects 0"):
        reconstruct(plan(source=stretch(turned, 0, 1)))


def test_activity_of_another_rate_is_refused(plan, encoders):
    clip = replace(CLIP, rate_hz=15.0)
    checkpoint = world.saved(encoders[0].with_name("fast.safetensors"), rate_hz=30.0)
    with pytest.raises(UserError, match=r"15 frames per second, .* trained at 30"):
        open_checkpoint(checkpoint, clip)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoders": []}, "no encoder is given"),
        ({"encoders": [Path("nowhere.safetensors")]}, "cannot be read"),
        ({"steps": 0}, "0 steps move nothing"),
        ({"mask": Path("nowhere.npy")}, "make one with `rtrecon mask`"),
        ({"device": "cuda"}, "torch finds none here"),
    ],
)
def test_mistakes_are_sentences(plan, changes, sentence, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=sentence):
        reconstruct(plan(**changes))


def test_masks_of_other_things_are_refused(tmp_path):
    np.save(tmp_path / "small.npy", np.zeros((3, 3)))
    with pytest.raises(UserError, match="is not an array of"):
        command.read_mask(tmp_path / "small.npy")
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        command.read_mask(tmp_path / "pickle.npy")


def test_a_mask_that_is_clear_nowhere_is_refused(plan, tmp_path):
    np.save(tmp_path / "dim.npy", np.full((36, 64), 0.9))
    with pytest.raises(UserError, match="is below 1 everywhere"):
        reconstruct(plan(mask=tmp_path / "dim.npy"))


def test_silence_is_refused(plan, session, tmp_path):
    lost = replace(
        CLIP, target=replace(CLIP.target, activity=0 * CLIP.target.activity + np.nan)
    )
    silent = world.recorded(tmp_path / "silent", lost)
    with pytest.raises(UserError, match="holds no activity"):
        reconstruct(plan(source=stretch(silent, 0, 1)))


@pytest.mark.parametrize(
    ("start_s", "seconds"), [(3, 1), (-1, 1), (0, 0), (0, float("nan")), (0, -1)]
)
def test_stretches_that_are_not_in_the_session_are_refused(session, start_s, seconds):
    with pytest.raises(UserError, match=r"lasts 1\.2 s"):
        stretch(session, start_s, seconds)


def test_a_published_encoder_cannot_be_inverted_under_a_prior(plan, tmp_path):
    published = tmp_path / "published.pt"
    published.write_bytes(b"weights")
    with pytest.raises(UserError, match="--method published"):
        reconstruct(plan("map", encoders=[published]))
    assert jobs.file_hash(published)
