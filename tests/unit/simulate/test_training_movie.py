"""Training movies mix generated scenes, videos and photographs; no clip is repeated."""

from __future__ import annotations

import av
import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.moving_eye import view_picture
from rtrecon.simulate.training_movie import MovieFolders, make_training_movie
from rtrecon.sources.video import read_picture, write_movie

CLIP_FRAMES = 30
N_CLIPS = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos: four clips and more than half a clip, and less than half a clip."""
    folder = tmp_path_factory.mktemp("videos")
    for name, n_frames in (("long.mp4", 140), ("short.mp4", 10)):
        write_movie(folder / name, make_natural_movie(n_frames, 5), 30.0, 2)
    (folder / "readme.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        save_picture(folder / f"{number}.png", make_gradient(90, 160, number))
    return folder


def make_gradient(height, width, number):
    y, x = np.mgrid[:height, :width]
    wave = np.sin((x * np.cos(number) + y * np.sin(number)) / 9)
    return (128 + 100 * wave).astype(np.uint8)


def save_picture(path, pixels):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("png", width=pixels.shape[1], height=pixels.shape[0])
        stream.pix_fmt = "gray"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "gray")))
        file.mux(stream.encode())


def make_movie(**folders):
    n_frames = N_CLIPS * CLIP_FRAMES - 10
    return make_training_movie(MovieFolders(**folders), n_frames, 7, CLIP_FRAMES)


def test_without_folders_all_scenes_are_generated():
    made = make_movie()
    expected = make_natural_movie(N_CLIPS * CLIP_FRAMES - 10, 7, CLIP_FRAMES)
    np.testing.assert_array_equal(made.movie, expected)
    assert made.n_clips == {"generated scenes": N_CLIPS}


def test_each_kind_gives_a_third_of_the_clips(videos, pictures):
    made = make_movie(videos=videos, pictures=pictures)
    assert made.movie.shape == (N_CLIPS * CLIP_FRAMES - 10, 36, 64)
    assert made.movie.dtype == np.uint8
    assert made.n_clips == {"videos": 2, "pictures": 2, "generated scenes": 2}
    assert "long.mp4" in made.files
    assert len(made.files) == 3


def test_no_clip_is_shown_twice(videos, pictures):
    movie = make_movie(videos=videos, pictures=pictures).movie
    starts = movie[::CLIP_FRAMES].reshape(N_CLIPS, -1)
    assert len(np.unique(starts, axis=0)) == N_CLIPS


def test_generated_scenes_fill_what_the_folder_lacks(videos):
    made = make_training_movie(MovieFolders(videos), 12 * CLIP_FRAMES, 7, CLIP_FRAMES)
    assert made.n_clips == {"videos": 5, "generated scenes": 7}


def test_the_same_folders_and_seed_give_the_same_movie(videos, pictures):
    first, second = (make_movie(videos=videos, pictures=pictures) for _ in range(2))
    np.testing.assert_array_equal(first.movie, second.movie)


def test_a_moving_eye_sees_parts_of_the_picture_in_motion(pictures):
    picture = read_picture(pictures / "1.png")
    np.testing.assert_array_equal(picture, make_gradient(90, 160, 1))
    seen = view_picture(picture, 90, np.random.default_rng(0))
    assert seen.shape == (90, 36, 64)
    assert picture.min() <= seen.min() < seen.max() <= picture.max()
    change = np.abs(np.diff(seen.astype(float), axis=0)).mean((1, 2))
    assert (change > 0).mean() > 0.9


@pytest.mark.parametrize("kind", ["videos", "pictures"])
def test_a_folder_without_what_it_should_hold_is_refused(tmp_path, kind):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(UserError, match=f"has no {kind} that can be shown"):
        make_movie(**{kind: tmp_path})
    with pytest.raises(UserError, match="does not exist; check its path"):
        make_movie(**{kind: tmp_path / "nowhere"})
    with pytest.raises(UserError, match="does not exist; check its path"):
        make_movie(**{kind: tmp_path / "notes.txt"})


def test_videos_that_are_too_short_are_refused(tmp_path):
    write_movie(tmp_path / "short.mp4", make_natural_movie(10, 5), 30.0, 2)
    with pytest.raises(UserError, match=r"or only shorter ones than 0\.5 s"):
        make_movie(videos=tmp_path)
