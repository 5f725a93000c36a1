"""Finds clips in files and folders, and reads them for the screen and the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from rtrecon.core.types import Array
from rtrecon.presenter import PresenterError
from rtrecon.sources.npy import read_numbers
from rtrecon.sources.registry import FILM_SUFFIXES
from rtrecon.sources.video import crop_to_aspect, read_clip, resize_picture
from rtrecon.stimulus_space.space import MIDDLE_LEVEL
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.stimulus_space.viewing import FlatScreen, warp_to_flat_screen

GRAY_NAME = "gray"  # of the picture between two clips
GRAY_LEVEL = round(MIDDLE_LEVEL)
_MAX_MEMORY_SHARE = 0.5  # of the memory that is free


@dataclass(frozen=True)
class ScreenFormat:
    """How clips are prepared for the screen.

    height_px: of the pictures; smaller ones stay. flat_screen: pictures are drawn in
    visual angles, and warped for this screen; None: shown as they are.
    """

    height_px: int
    flat_screen: FlatScreen | None = None


@dataclass(frozen=True, eq=False)
class ScreenClip:
    """A clip as the screen shows it and as the encoder sees it, 30 pictures per second.

    pictures: uint8 (n, height, width), as wide as the encoder's pictures are for their
    height. encoder_pictures: uint8 (n, 36, 64).
    """

    name: str
    pictures: Array
    encoder_pictures: Array

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def duration_s(self) -> float:
        """How long it is shown."""
        return len(self) / VIDEO.rate_hz


def find_clips(paths: Iterable[Path]) -> list[Path]:
    """Return the files of clips: those given, and those in folders, sorted by name.

    Raises PresenterError if there is none, or if two files have the same name.
    """
    files: list[Path] = []
    for path in paths:
        files += _list_folder(path) if path.is_dir() else [path]
    by_name: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise PresenterError(f"there is no clip {file}")
        first = by_name.setdefault(file.stem, file)
        if first.resolve() != file.resolve():
            raise PresenterError(
                f"{first} and {file} would both be called '{file.stem}' in the "
                "recording; rename one of them"
            )
    if GRAY_NAME in by_name:
        raise PresenterError(
            f"{by_name[GRAY_NAME]}: '{GRAY_NAME}' is the name of the picture between "
            "two clips; rename the file"
        )
    return files


def load_clips(
    files: Iterable[Path],
    screen_format: ScreenFormat,
    on_clip: Callable[[ScreenClip], None],
) -> dict[str, ScreenClip]:
    """Read the clips of these files, by name; a file that occurs twice is read once.

    All are read before the first one is shown: reading beside the screen costs screen
    frames. on_clip: called after each. Raises PresenterError or another UserError.
    """
    clips: dict[str, ScreenClip] = {}
    available = psutil.virtual_memory().available
    for file in files:
        if file.stem not in clips:
            clips[file.stem] = read_screen_clip(file, screen_format)
            _require_memory(clips, available)
            on_clip(clips[file.stem])
    return clips


def read_screen_clip(path: Path, screen_format: ScreenFormat) -> ScreenClip:
    """Read a film, or a .npy file of uint8 (n, height, width) at 30 per second.

    The encoder sees pictures as they are drawn, which is what the eye sees of warped
    ones. Raises PresenterError or another UserError.
    """
    height_px = screen_format.height_px
    shape = (height_px, round(height_px * VIDEO.shape[1] / VIDEO.shape[0]))
    if path.suffix.lower() == ".npy":
        pictures = _read_array(path, shape)
    elif path.suffix.lower() in FILM_SUFFIXES:
        pictures = read_clip(path, shape, VIDEO.rate_hz)
    else:
        raise PresenterError(
            f"{path} is no clip; give a film ({', '.join(FILM_SUFFIXES)}) or a .npy "
            "file"
        )
    small = np.stack([resize_picture(picture, VIDEO.shape) for picture in pictures])
    if screen_format.flat_screen is not None:
        pictures = warp_to_flat_screen(pictures, screen_format.flat_screen)
    return ScreenClip(path.stem, pictures, small)


def make_gray_clip(seconds: float) -> ScreenClip:
    """Return the gray picture between two clips, at least one picture long."""
    n_pictures = max(1, round(seconds * VIDEO.rate_hz))
    gray = np.full((1, *VIDEO.shape), GRAY_LEVEL, np.uint8).repeat(n_pictures, axis=0)
    return ScreenClip(GRAY_NAME, gray, gray)


def _list_folder(folder: Path) -> list[Path]:
    suffixes = (*FILM_SUFFIXES, ".npy")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    if not files:
        raise PresenterError(
            f"{folder} contains no clip; clips are films ({', '.join(FILM_SUFFIXES)}) "
            "and .npy files"
        )
    return files


def _read_array(path: Path, shape: tuple[int, int]) -> Array:
    pictures = read_numbers(path)
    if pictures.dtype != np.uint8 or pictures.ndim != 3 or not pictures.size:
        raise PresenterError(
            f"{path} holds {pictures.dtype} of shape {list(pictures.shape)}; a clip is "
            "uint8 (n, height, width) with 30 pictures per second"
        )
    cropped = np.stack([crop_to_aspect(picture, VIDEO.shape) for picture in pictures])
    if cropped.shape[1] <= shape[0]:
        return cropped
    return np.stack([resize_picture(picture, shape) for picture in cropped])


def _require_memory(clips: dict[str, ScreenClip], available_bytes: int) -> None:
    used = sum(clip.pictures.nbytes for clip in clips.values())
    if used > _MAX_MEMORY_SHARE * available_bytes:
        raise PresenterError(
            f"the first {len(clips)} clips need {used / 1e9:.1f} GB, more than half of "
            "the free memory; show fewer clips, or smaller pictures with --height"
        )
