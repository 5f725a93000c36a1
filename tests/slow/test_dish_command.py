"""`rtrecon dish` on files: what it writes, and what it says about unusual ones."""

from __future__ import annotations

import av
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.rois.readers.registry import load_rois
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from rtrecon.sources.video import write_movie

SCENE = DishScene(
    seed=78, side_px=192, n_neurons=4, n_frames=10, n_bad_frames=1, n_deaths=0
)
SCALE = ("--scale-um", "0.8", "--interval-s", "600")


@pytest.fixture(scope="module")
def pictures():
    return np.stack([frame.image for frame in film_dish(SCENE)])


def run(*arguments):
    return CliRunner().invoke(app, ["dish", *map(str, arguments)])


def run_and_fail(*arguments):
    """Return the sentence of the error."""
    return str(run(*arguments).exception)


def test_a_stack_becomes_tables_trees_graph_video_and_report(tmp_path, pictures):
    film, out = tmp_path / "film.tif", tmp_path / "out"
    tifffile.imwrite(film, pictures)
    result = run(film, *SCALE, "--out", out, "--swc-frame", 5)
    assert result.exit_code == 0, result.output
    assert "it is no synapse" in result.output
    assert "1 not traced: the picture is out of focus" in result.output
    with av.open(str(out / "film.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 10
    assert len(list((out / "swc").glob("*_0005.swc"))) == 4
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "mm per mm2" in page
    assert "<svg" not in page  # the drawing is a data URL: the page needs no other file
    assert len(load_rois(out / "bodies.json", (192, 192))) == 4


def test_a_folder_of_pictures_is_one_film(tmp_path, pictures):
    for k, picture in enumerate(pictures[:4]):
        tifffile.imwrite(tmp_path / f"dish_t{k + 1:03d}.tif", picture)
    result = run(tmp_path, *SCALE, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "4 pictures in 30 min; 4 traced." in result.output


def test_scale_and_interval_of_an_ome_file_are_used(tmp_path, pictures):
    film = tmp_path / "film.ome.tif"
    scale = {"PhysicalSizeX": 0.8, "PhysicalSizeY": 0.8, "TimeIncrement": 600.0}
    images = pictures[:3]
    tifffile.imwrite(
        film, images, photometric="minisblack", metadata={"axes": "TYX", **scale}
    )
    result = run(film, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 pictures in 20 min" in result.output


def test_a_missing_scale_and_a_missing_interval_have_their_sentences(
    tmp_path, pictures
):
    film = tmp_path / "film.tif"
    tifffile.imwrite(film, pictures[:3], photometric="minisblack")
    assert "give --scale-um" in run_and_fail(film)
    assert "give --interval-s" in run_and_fail(film, "--scale-um", "0.8")


def test_two_channels_have_their_sentence(tmp_path, pictures):
    film = tmp_path / "film.ome.tif"
    both = np.stack([pictures[:4], pictures[:4]], axis=1)
    tifffile.imwrite(film, both, metadata={"axes": "TCYX"})
    assert "give --channel" in run_and_fail(film, *SCALE)
    result = run(film, *SCALE, "--channel", 2, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output


def test_a_video_is_traced_and_its_limits_are_named(tmp_path, pictures):
    film = tmp_path / "film.mp4"
    gray = ((pictures[:5] - 150.0) / 4).clip(0, 255).astype(np.uint8)
    write_movie(film, gray, scale=1)
    result = run(film, *SCALE, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "a film is compressed" in result.output


def test_a_film_without_a_usable_picture_has_its_sentence(tmp_path):
    film = tmp_path / "film.tif"
    images = np.full((4, 96, 96), 100, np.uint16)
    tifffile.imwrite(film, images, photometric="minisblack")
    sentence = run_and_fail(film, *SCALE, "--out", tmp_path / "out")
    assert "no picture of film.tif can be traced" in sentence
    assert "shutter" in sentence


def test_tiny_bodies_have_their_sentence(tmp_path, pictures):
    film = tmp_path / "film.tif"
    tifffile.imwrite(film, pictures[:3], photometric="minisblack")
    scale = ("--scale-um", "5", "--interval-s", "600")
    assert "check the scale" in run_and_fail(film, *scale, "--out", tmp_path / "out")
