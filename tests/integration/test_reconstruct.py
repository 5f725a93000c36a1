"""`rtrecon reconstruct` on a recorded session: writes files, and resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.core.errors import UserError
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.sensitivity import find_visual_field
from rtrecon.inversion.offline import jobs, published_protocol
from rtrecon.inversion.offline.api import reconstruct
from rtrecon.inversion.offline.clips import select_segment
from rtrecon.inversion.offline.command import ReconstructionRequest, run_reconstruction
from rtrecon.inversion.offline.encoder_files import open_checkpoint, open_encoder
from rtrecon.inversion.offline.live_and_map import reconstruct_live, reconstruct_map
from rtrecon.inversion.offline.mask_command import read_mask
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.metrics.similarity import video_correlation
from rtrecon.sources.video import read_clip
from tests.support import inversion_world as world

CLIP, N_FRAMES = world.make_clip(36), 30
STEPS = {"live": 6, "map": 10, "published": 6}
METHODS = list(STEPS)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    return world.record_clip(tmp_path_factory.mktemp("recordings"), CLIP, first=50)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> list[Path]:
    """Two encoders of the same neurons."""
    folder = tmp_path_factory.mktemp("encoders")
    return [world.save_encoder(folder / f"{name}.safetensors", name) for name in (0, 5)]


@pytest.fixture
def create_request(session, encoders, tmp_path):
    def made(method="live", **changes):
        known = {
            "source": select_segment(session, 0.0, N_FRAMES / 30),
            "output_folder": tmp_path / "out",
            "encoders": encoders[:1],
            "method": method,
            "steps": STEPS[method],
        }
        return ReconstructionRequest(**{**known, **changes})

    return made


def reconstruct_directly(
    method: str, create_request: ReconstructionRequest, encoder: Path
) -> np.ndarray:
    """Return the movie that the method itself reconstructs."""
    clip = create_request.source.load()
    if method == "published":
        settings = PublishedSettings(steps=create_request.steps)
        opened = open_encoder(encoder, clip)
        return reconstruct_published([opened], clip.target, settings).movies[0]
    checkpoint = open_checkpoint(encoder, clip)
    if method == "live":
        return reconstruct_live(checkpoint, clip.target, create_request.steps).final
    return reconstruct_map(checkpoint, clip.target, create_request.steps).movie


@pytest.mark.parametrize("method", METHODS)
def test_all_files_are_written(create_request, method):
    request = create_request(method)
    result = run_reconstruction(request)
    movie = np.load(request.output_folder / "movie.npy", allow_pickle=False)
    np.testing.assert_array_equal(movie, result.movie)
    assert movie.shape == (N_FRAMES, 36, 64)
    about = json.loads((request.output_folder / "reconstruction.json").read_text())
    assert about == result.figures
    clip = request.source.load()
    settled = slice(about["counted_from_frame"], None)
    r = video_correlation(movie[settled], clip.stimulus[settled])
    assert about["pixel_correlation"] == pytest.approx(r, abs=1e-4)
    visual_field = find_visual_field(load_checkpoint(request.encoders[0]))
    r = video_correlation(movie[settled], clip.stimulus[settled], visual_field)
    assert about["visual_field_correlation"] == pytest.approx(r, abs=1e-4)
    assert about["mean_frame_visual_field_correlation"] is None or (
        about["mean_frame_visual_field_correlation"] < 0.5
    )
    assert (about["method"], about["steps"]) == (method, STEPS[method])
    assert list(about["encoders"]) == [str(request.encoders[0])]
    video = read_clip(request.output_folder / "reconstruction.mp4", (36, 130))
    assert video.shape == (N_FRAMES, 36, 130)
    left = clip.stimulus[:, 4:-4, 4:60]
    assert np.abs(video[:, 4:-4, 4:60] - left).mean() < 8


@pytest.mark.parametrize("method", METHODS)
def test_the_movie_is_the_mean_over_encoders(create_request, encoders, method):
    request = create_request(method, encoders=encoders)
    made = [reconstruct_directly(method, request, encoder) for encoder in encoders]
    mean = np.mean(made, 0)
    if method == "published":
        mean = gaussian_filter(mean, 0.5)
    np.testing.assert_allclose(run_reconstruction(request).movie, mean, rtol=1e-5)


def test_a_live_replay_has_a_figure_for_every_lag(create_request):
    found = run_reconstruction(create_request("live", steps=10)).figures
    by_lag = found["pixel_correlation_by_lag_s"]
    assert list(by_lag) == ["0.10", "0.20", "0.40", "0.80", "1.13"]
    assert by_lag["1.13"] == found["pixel_correlation"]


def test_figures_skip_the_first_frames_and_pixels_outside_the_mask(
    create_request, tmp_path
):
    mask = np.zeros((36, 64), np.float32)
    mask[8:30, 10:50], mask[0] = 1.0, 0.9
    np.save(tmp_path / "mask.npy", mask)
    result = run_reconstruction(create_request("published", mask=tmp_path / "mask.npy"))
    first = result.figures["counted_from_frame"]
    shown, movie = CLIP.stimulus[first:N_FRAMES], result.movie[first:]
    inside = mask >= 1
    r = np.corrcoef(np.rint(shown)[:, inside].ravel(), movie[:, inside].ravel())[0, 1]
    assert result.figures["pixel_correlation"] == pytest.approx(r, abs=1e-3)
    assert (result.movie[:, 20, 60] == 127.5).all()  # outside: as it began
    assert np.ptp(result.movie[:, 0, 20]) > 0  # above a half: free to move


def test_only_the_visible_rows_of_a_padded_mask_are_read(tmp_path):
    mask = np.random.default_rng(0).random((64, 64))
    np.save(tmp_path / "mask_m0.npy", mask)
    read = read_mask(tmp_path / "mask_m0.npy")
    np.testing.assert_array_equal(read, mask[14:50].astype(np.float32))


def test_without_a_stimulus_the_video_shows_the_movie_alone(create_request, tmp_path):
    class ClipWithoutStimulus:
        name = "blind"

        def load(self):
            return replace(CLIP, stimulus=None)

    result = run_reconstruction(create_request("live", source=ClipWithoutStimulus()))
    assert result.figures["pixel_correlation"] is None
    assert "stimulus not known" in result.summary_sentence()
    video = read_clip(tmp_path / "out" / "reconstruction.mp4")
    assert video.shape == (36, 36, 64)


# -- interrupted, and finished before ------------------------------------------------


class Interrupted(Exception):
    pass


def test_an_interrupted_reconstruction_is_resumed(
    create_request, session, encoders, tmp_path, monkeypatch
):
    monkeypatch.setattr(published_protocol, "_SAVE_EVERY_STEPS", 5)
    source = select_segment(session, 0, 0.4)  # one window
    request = create_request("published", steps=9, encoders=encoders, source=source)

    def interrupt(stage, share, word):
        if stage.startswith("encoder 2") and share > 7 / 9:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_reconstruction(request, interrupt)
    reports = []
    again = run_reconstruction(request, lambda *report: reports.append(report))
    assert reports[0][1:] == (1.0, "reconstructed before")
    assert reports[1][2].startswith("step 6,")
    whole = run_reconstruction(replace(request, output_folder=tmp_path / "whole"))
    np.testing.assert_array_equal(again.movie, whole.movie)
    assert again.figures["passes"] == whole.figures["passes"]
    kept = {file.name for file in (request.output_folder / "parts").iterdir()}
    assert len(kept) == 2  # and no unfinished state


def test_other_parameters_do_not_reuse_a_finished_movie(
    create_request, encoders, session
):
    request = create_request("map", source=select_segment(session, 0, 0.5))
    run_reconstruction(request)
    others = [
        replace(request, method="live"),
        replace(request, steps=11),
        replace(request, encoders=encoders[1:]),
        replace(request, source=select_segment(session, 0.1, 0.5)),
    ]
    for n_others, other in enumerate(others, start=1):
        run_reconstruction(other)
        assert len(list((request.output_folder / "parts").iterdir())) == 1 + n_others
    run_reconstruction(request)
    assert len(list((request.output_folder / "parts").iterdir())) == 1 + len(others)


def test_a_damaged_result_is_reported(create_request, session):
    request = create_request("map", source=select_segment(session, 0, 0.5))
    run_reconstruction(request)
    (part,) = (request.output_folder / "parts").iterdir()
    part.write_bytes(b"half of it")
    with pytest.raises(
        UserError, match="delete it, and the movie is reconstructed again"
    ):
        run_reconstruction(request)


# -- refused ---------------------------------------------------------------------------


def record_other_neurons(folder: Path, n_neurons: int, order: slice) -> Path:
    clip = world.make_clip(40, neurons=n_neurons)
    return world.record_clip(folder, replace(clip, neuron_ids=clip.neuron_ids[order]))


def test_activity_of_other_neurons_is_refused(create_request, tmp_path):
    fewer = record_other_neurons(tmp_path / "fewer", 50, slice(None))
    with pytest.raises(UserError, match=r"of 50 neurons, encoder .* has 200"):
        run_reconstruction(create_request(source=select_segment(fewer, 0, 1)))
    turned = record_other_neurons(
        tmp_path / "turned", world.N_NEURONS, slice(None, None, -1)
    )
    with pytest.raises(UserError, match=r"neuron 199 at index 0, where .* has 0"):
        run_reconstruction(create_request(source=select_segment(turned, 0, 1)))


def test_activity_at_another_rate_is_refused(create_request, encoders):
    clip = replace(CLIP, rate_hz=15.0)
    checkpoint = world.save_encoder(
        encoders[0].with_name("fast.safetensors"), rate_hz=30.0
    )
    with pytest.raises(UserError, match=r"15 frames per second, .* trained at 30"):
        open_checkpoint(checkpoint, clip)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encoders": []}, "no encoder is given"),
        ({"encoders": [Path("nowhere.safetensors")]}, "cannot be read"),
        ({"steps": 0}, "0 steps are too few"),
        ({"mask": Path("nowhere.npy")}, "make one with `rtrecon mask`"),
        ({"device": "cuda"}, "torch finds none here"),
    ],
)
def test_wrong_requests_are_refused_with_a_sentence(
    create_request, changes, sentence, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=sentence):
        run_reconstruction(create_request(**changes))


def test_files_that_are_not_masks_are_refused(tmp_path):
    np.save(tmp_path / "small.npy", np.zeros((3, 3)))
    with pytest.raises(UserError, match="is not an array of"):
        read_mask(tmp_path / "small.npy")
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        read_mask(tmp_path / "pickle.npy")


def test_a_mask_without_clear_pixels_is_refused(create_request, tmp_path):
    np.save(tmp_path / "dim.npy", np.full((36, 64), 0.9))
    with pytest.raises(UserError, match="is below 1 everywhere"):
        run_reconstruction(create_request(mask=tmp_path / "dim.npy"))


def test_a_session_without_activity_is_refused(create_request, session, tmp_path):
    lost = replace(
        CLIP, target=replace(CLIP.target, activity=0 * CLIP.target.activity + np.nan)
    )
    silent = world.record_clip(tmp_path / "silent", lost)
    with pytest.raises(UserError, match="has no recorded activity"):
        run_reconstruction(create_request(source=select_segment(silent, 0, 1)))


@pytest.mark.parametrize(
    ("start_s", "seconds"), [(3, 1), (-1, 1), (0, 0), (0, float("nan")), (0, -1)]
)
def test_segments_outside_the_session_are_refused(session, start_s, seconds):
    with pytest.raises(UserError, match=r"lasts 1\.2 s"):
        select_segment(session, start_s, seconds)


def test_a_published_encoder_cannot_be_inverted_with_a_prior(create_request, tmp_path):
    published = tmp_path / "published.pt"
    published.write_bytes(b"weights")
    with pytest.raises(UserError, match="--method published"):
        run_reconstruction(create_request("map", encoders=[published]))
    assert jobs.hash_encoder_file(published)


# -- from Python -----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_python_function_returns_the_movie_of_the_command(
    create_request, session, encoders, method
):
    request = create_request(method)
    expected = run_reconstruction(request)
    found = reconstruct(
        session,
        encoders[0],
        method,
        duration_s=N_FRAMES / 30,
        steps=STEPS[method],
    )
    np.testing.assert_array_equal(found.movie, expected.movie)
    for name in ("pixel_correlation", "frame_correlation", "counted_from_frame"):
        assert found.figures[name] == expected.figures[name]


def test_the_python_function_reconstructs_a_later_segment(session, encoders):
    found = reconstruct(session, encoders[0], start_s=0.2, duration_s=0.5, steps=2)
    assert found.movie.shape == (15, 36, 64)
    assert found.summary_sentence().startswith("15 frames of ")
