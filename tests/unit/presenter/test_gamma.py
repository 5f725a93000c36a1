"""Gamma tables: the screen's brightness follows the gray level of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.presenter import PresenterError
from rtrecon.presenter.gamma import (
    invert_luminances,
    make_gamma_table,
    read_gamma_table,
)


def test_the_brightness_of_a_corrected_screen_is_proportional_to_the_gray_level():
    table = make_gamma_table(2.2)
    brightness = (table / 255) ** 2.2
    # A value of the screen is a whole number: off by half of one at most.
    step = np.gradient((np.arange(256) / 255) ** 2.2)[table]
    assert np.all(np.abs(brightness - np.arange(256) / 255) <= step)
    assert np.array_equal(make_gamma_table(1.0), np.arange(256))


@pytest.mark.parametrize("exponent", [0.0, -1.0, 20.0, float("nan")])
def test_an_impossible_exponent_is_an_error(exponent):
    with pytest.raises(PresenterError, match="is impossible"):
        make_gamma_table(exponent)


def test_measured_luminances_are_inverted():
    luminances = 3.0 + 200 * np.linspace(0, 1, 256) ** 2.2  # black is not quite dark
    table = invert_luminances(luminances)
    # Both tables round; an interpolated value may lie on the other side of a half.
    assert np.abs(table.astype(int) - make_gamma_table(2.2)).max() <= 1
    with pytest.raises(PresenterError, match="the luminance 2 at position 3 is not"):
        invert_luminances(np.array([1.0, 2.0, 2.0]))


@pytest.mark.parametrize("columns", [1, 3])
def test_a_table_of_a_photometer_is_read(tmp_path, columns):
    values = (np.arange(256) / 255) ** 0.5
    np.savetxt(tmp_path / "gamma.txt", np.tile(values[:, None], columns))
    table = read_gamma_table(tmp_path / "gamma.txt")
    assert np.array_equal(table, make_gamma_table(2.0))


def write_table(path, change) -> None:
    values = np.tile(np.linspace(0, 1, 256)[:, None], 3)
    np.savetxt(path, change(values))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[:100], r"\[100, 3\] numbers; it needs 256 lines"),
        (lambda v: v * 255, "between 0 and 1"),
        (lambda v: v * [1, 1, 0.5], "must be equal"),
        (lambda v: v * np.nan, "between 0 and 1"),
        (lambda v: np.where(np.arange(256)[:, None] == 7, 0, v), "in line 8"),
    ],
)
def test_a_table_that_fits_no_screen_is_explained(tmp_path, change, words):
    write_table(tmp_path / "gamma.txt", change)
    with pytest.raises(PresenterError, match=words):
        read_gamma_table(tmp_path / "gamma.txt")


def test_a_file_that_is_no_table_is_explained(tmp_path):
    (tmp_path / "gamma.txt").write_text("level value\n0 x\n")
    with pytest.raises(PresenterError, match=r"gamma\.txt cannot be read"):
        read_gamma_table(tmp_path / "gamma.txt")
    with pytest.raises(PresenterError, match="cannot be read"):
        read_gamma_table(tmp_path / "missing.txt")
