"""Gamma correction: which value the screen gets, so that it shows a given gray level.

The brightness of a screen grows faster than the values that it gets, about as their
power 2.2. Clips mean brightness: level 128 is half as bright as level 255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtrecon.core.files import read_text
from rtrecon.core.types import Array
from rtrecon.presenter import PresenterError

N_LEVELS = 256
_MAX_EXPONENT = 5.0


def make_gamma_table(exponent: float) -> Array:
    """Return uint8 (256,): the value that gives each gray level on such a screen.

    exponent: brightness = value ** exponent; 1 changes nothing. Raises PresenterError.
    """
    if not 1 / _MAX_EXPONENT <= exponent <= _MAX_EXPONENT:
        raise PresenterError(
            f"a gamma of {exponent:g} is impossible; screens have 1.8 to 2.6, and 1 "
            "changes nothing"
        )
    levels: Array = np.arange(N_LEVELS) / (N_LEVELS - 1)
    return _round_to_values(levels ** (1 / exponent))


def invert_luminances(luminances: Array) -> Array:
    """Return uint8 (256,): the value that gives each gray level on a measured screen.

    luminances: (n,), measured at equally spaced values from 0 to 255. Raises
    PresenterError if they do not grow.
    """
    if (np.diff(luminances) <= 0).any():
        index = int(np.argmax(np.diff(luminances) <= 0)) + 1
        raise PresenterError(
            f"screen.gamma: the luminance {luminances[index]:g} at position "
            f"{index + 1} is not larger than the one before; measure it again"
        )
    values = np.linspace(0, 1, len(luminances))
    wanted = np.linspace(luminances[0], luminances[-1], N_LEVELS)
    return _round_to_values(np.interp(wanted, luminances, values))


def read_gamma_table(path: Path) -> Array:
    """Return uint8 (256,) from a text file of a photometer's program.

    The file has 256 lines with the value of each gray level, 0 to 1, as Psychtoolbox
    saves it: one number in each line, or three equal ones. Raises PresenterError.
    """
    try:
        rows = [line.replace(",", " ").split() for line in _read_lines(path)]
        table = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise PresenterError(f"gamma table {path} cannot be read: {error}") from None
    if table.shape not in ((N_LEVELS, 1), (N_LEVELS, 3)):
        raise PresenterError(
            f"gamma table {path} has {list(table.shape)} numbers; it needs 256 lines "
            "with one number each, or with three equal ones"
        )
    values = table[:, 0]
    is_possible = np.isfinite(table).all() and values.min() >= 0 and values.max() <= 1
    if not is_possible or (table != values[:, None]).any():
        raise PresenterError(
            f"gamma table {path}: all numbers must lie between 0 and 1, and those of a "
            "line must be equal, because the pictures are gray"
        )
    if (np.diff(values) < 0).any():
        line = int(np.argmax(np.diff(values) < 0)) + 2
        raise PresenterError(
            f"gamma table {path}: the number in line {line} is smaller than the one "
            "before; a brighter level needs a larger value"
        )
    return _round_to_values(values)


def _read_lines(path: Path) -> list[str]:
    try:
        return [line for line in read_text(path).split("\n") if line.strip()]
    except OSError as error:
        raise PresenterError(f"gamma table {path} cannot be read: {error}") from None


def _round_to_values(shares: Array) -> Array:
    return np.rint(shares * (N_LEVELS - 1)).astype(np.uint8)
