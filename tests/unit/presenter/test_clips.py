"""Clips for the screen: found in folders, and read for screen and encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.presenter import PresenterError, clips
from rtrecon.presenter.clips import (
    ScreenFormat,
    find_clips,
    load_clips,
    read_screen_clip,
)
from rtrecon.presenter.flip_log import FlipLog
from rtrecon.presenter.presentation import ScreenPicture
from rtrecon.sources.video import write_movie
from rtrecon.stimulus_space.viewing import FlatScreen, warp_to_flat_screen


def save_clip(path, height: int = 36, width: int = 64, n: int = 4):
    pictures = np.random.default_rng(0).integers(0, 256, (n, height, width))
    np.save(path, pictures.astype(np.uint8))
    return path


def test_the_clips_of_a_folder_are_found_in_the_order_of_their_names(tmp_path):
    second, first = save_clip(tmp_path / "b.npy"), save_clip(tmp_path / "a.npy")
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / ".hidden.mp4").write_text("no clip")
    assert find_clips([tmp_path]) == [first, second]
    assert find_clips([second, first, second]) == [second, first, second]


def test_what_is_no_clip_is_explained(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / "bad.mp4").write_text("no film")
    np.save(tmp_path / "loud.npy", np.zeros((2, 3, 4)))
    with pytest.raises(PresenterError, match="empty contains no clip"):
        find_clips([tmp_path / "empty"])
    with pytest.raises(PresenterError, match=r"there is no clip .*c\.mp4"):
        find_clips([tmp_path / "c.mp4"])
    with pytest.raises(PresenterError, match=r"notes\.txt is no clip; give a film"):
        read_screen_clip(tmp_path / "notes.txt", ScreenFormat(36))
    with pytest.raises(PresenterError, match="float64 of shape"):
        read_screen_clip(tmp_path / "loud.npy", ScreenFormat(36))
    with pytest.raises(UserError, match=r"bad\.mp4 cannot be read as video"):
        read_screen_clip(tmp_path / "bad.mp4", ScreenFormat(36))


def test_names_that_a_recording_could_not_tell_apart_are_refused(tmp_path):
    (tmp_path / "day1").mkdir()
    one, other = save_clip(tmp_path / "a.npy"), save_clip(tmp_path / "day1" / "a.npy")
    with pytest.raises(PresenterError, match="would both be called 'a'"):
        find_clips([one, other])
    with pytest.raises(PresenterError, match="'gray' is the name of the picture"):
        find_clips([save_clip(tmp_path / "gray.npy")])


def test_an_array_is_cropped_to_the_shape_of_the_encoder_and_reduced(tmp_path):
    clip = read_screen_clip(save_clip(tmp_path / "a.npy", 200, 160), ScreenFormat(72))
    assert clip.pictures.shape == (4, 72, 128)
    assert clip.encoder_pictures.shape == (4, 36, 64)
    small = read_screen_clip(save_clip(tmp_path / "b.npy"), ScreenFormat(72))
    assert np.array_equal(small.pictures, np.load(tmp_path / "b.npy"))
    assert np.array_equal(small.encoder_pictures, small.pictures)


def test_warped_clips_are_sent_as_they_were_drawn(tmp_path):
    path, screen = save_clip(tmp_path / "a.npy"), FlatScreen(100, 56, 20)
    clip = read_screen_clip(path, ScreenFormat(72, screen))
    drawn = np.load(path)
    assert np.array_equal(clip.encoder_pictures, drawn)
    assert np.array_equal(clip.pictures, warp_to_flat_screen(drawn, screen))
    assert not np.array_equal(clip.pictures, drawn)


def test_a_film_is_read_at_the_rate_of_the_encoder(tmp_path):
    images = np.zeros((12, 72, 128), np.uint8)
    images[6:] = 200
    write_movie(tmp_path / "film.mp4", images, rate_hz=15.0, scale=1)
    clip = read_screen_clip(tmp_path / "film.mp4", ScreenFormat(36))
    assert len(clip) == 24
    assert clip.duration_s == pytest.approx(0.8)
    means = clip.encoder_pictures.mean((1, 2))
    assert np.allclose(means[:12], 0, atol=4)
    assert np.allclose(means[12:], 200, atol=4)


def test_a_file_that_is_listed_twice_is_read_once(tmp_path):
    path, read = save_clip(tmp_path / "a.npy"), []
    assert list(load_clips([path, path], ScreenFormat(36), read.append)) == ["a"]
    assert len(read) == 1


def test_clips_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "_MAX_MEMORY_SHARE", 0.0)
    with pytest.raises(PresenterError, match="smaller pictures with --height"):
        load_clips([save_clip(tmp_path / "a.npy")], ScreenFormat(36), lambda clip: None)


def test_the_times_of_pictures_are_written_and_never_overwritten(tmp_path):
    clip = read_screen_clip(save_clip(tmp_path / 'a "b", c.npy'), ScreenFormat(36))
    log = FlipLog(tmp_path / "times.csv")
    log.add_picture(ScreenPicture(clip, 3, True), 12.5)
    log.close()
    assert (tmp_path / "times.csv").read_text() == (
        'time_s,clip,index,patch\n12.500000,"a ""b"", c",3,1\n'
    )
    with pytest.raises(PresenterError, match="choose another --log"):
        FlipLog(tmp_path / "times.csv")
    FlipLog(None).add_picture(ScreenPicture(clip, 3, True), 12.5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_ends_the_table_and_not_the_presentation(tmp_path, monkeypatch):
    clip = read_screen_clip(save_clip(tmp_path / "a.npy"), ScreenFormat(36))
    monkeypatch.setattr("rtrecon.presenter.flip_log._HEADER", "")
    opened = Path("/dev/full").open("w", 1)  # noqa: SIM115
    monkeypatch.setattr(Path, "open", lambda *_args, **_options: opened)
    log = FlipLog(tmp_path / "times.csv")
    for index in (2, 3):
        log.add_picture(ScreenPicture(clip, index, True), 12.5)
    log.close()
    assert "ends after picture 2 of 'a'" in log.failure
