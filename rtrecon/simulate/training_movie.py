"""The movie of a simulated training session: generated clips, videos and photographs.

Every clip is shown once. Generated clips fill what the user's folders do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.simulate.movie import RATE_HZ, SHAPE, make_natural_movie
from rtrecon.simulate.moving_eye import view_picture
from rtrecon.sources.video import VideoError, read_clip, read_picture

_READ_AHEAD = 2  # clips that are read for each one that is shown


@dataclass(frozen=True)
class MovieFolders:
    """Folders of the user; None = there is none.

    videos: of video files. pictures: of photographs, which are seen by a moving eye.
    """

    videos: Path | None = None
    pictures: Path | None = None


@dataclass(frozen=True)
class TrainingMovie:
    """movie: uint8 (T, 36, 64). n_clips: by kind. files: names of the files shown."""

    movie: Array
    n_clips: dict[str, int]
    files: tuple[str, ...]

    def describe(self) -> str:
        """Return a sentence on what the movie is made of."""
        parts = [f"{count} of {kind}" for kind, count in self.n_clips.items()]
        return f"clips of the training movie: {', '.join(parts)}"


def make_training_movie(
    folders: MovieFolders, n_frames: int, seed: int, clip_frames: int
) -> TrainingMovie:
    """Return a movie of clips in random order; equal parts of each kind, if possible.

    Raises UserError where a folder has no file that can be shown.
    """
    total = -(-n_frames // clip_frames)
    readers: dict[str, tuple[Path | None, Callable[..., Iterator[Array]]]] = {
        "videos": (folders.videos, _iterate_video_clips),
        "pictures": (folders.pictures, _iterate_picture_clips),
    }
    share = total // (1 + sum(folder is not None for folder, _ in readers.values()))
    rng = np.random.default_rng([seed, 41])
    clips: list[Array] = []
    n_clips, files = dict[str, int](), list[str]()
    for kind, (folder, iterate_clips) in readers.items():
        if folder is None:
            continue
        read, shown = _collect_clips(
            folder, kind, share, clip_frames, iterate_clips, rng
        )
        clips += read
        files += shown
        n_clips[kind] = len(read)
    n_clips["generated scenes"] = total - len(clips)
    made = make_natural_movie(n_frames - len(clips) * clip_frames, seed, clip_frames)
    if not clips:
        return TrainingMovie(made, n_clips, ())
    return TrainingMovie(_shuffle(clips, made, clip_frames, rng), n_clips, tuple(files))


def _shuffle(
    clips: list[Array], made: Array, clip_frames: int, rng: np.random.Generator
) -> Array:
    """Return all clips in random order; the last generated one may be shorter."""
    whole = len(made) // clip_frames * clip_frames
    generated = made[:whole].reshape(-1, clip_frames, *SHAPE)
    both = np.concatenate([np.stack(clips), generated])
    mixed = both[rng.permutation(len(both))].reshape(-1, *SHAPE)
    return np.concatenate([mixed, made[whole:]])


def _collect_clips(
    folder: Path,
    kind: str,
    n_max: int,
    clip_frames: int,
    iterate_clips: Callable[..., Iterator[Array]],
    rng: np.random.Generator,
) -> tuple[list[Array], list[str]]:
    """Return at most `n_max` clips of a folder, and the names of their files.

    The clips of long files do not displace those of others: each file gives one clip
    after the other, in turn.
    """
    by_file: dict[str, list[Array]] = {}
    files = _list_files(folder)
    for index in rng.permutation(len(files)).tolist():
        if sum(map(len, by_file.values())) >= _READ_AHEAD * n_max:
            break
        try:
            made = list(iterate_clips(files[index], clip_frames, n_max, rng))
        except VideoError:
            continue  # a text, a thumbnail database, ...
        if made:
            by_file[files[index].name] = made
    if not by_file:
        raise UserError(
            f"folder {folder} has no {kind} that can be shown, or only shorter ones "
            f"than {clip_frames / RATE_HZ / 2:.1f} s; give another folder"
        )
    return _take_in_turn(by_file, n_max)


def _take_in_turn(
    by_file: dict[str, list[Array]], n_max: int
) -> tuple[list[Array], list[str]]:
    longest = max(map(len, by_file.values()), default=0)
    ordered = [
        (name, clips[turn])
        for turn in range(longest)
        for name, clips in by_file.items()
        if turn < len(clips)
    ][:n_max]
    return [clip for _, clip in ordered], sorted({name for name, _ in ordered})


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"folder {folder} does not exist; check its path")
    return sorted(file for file in folder.iterdir() if file.is_file())


def _iterate_video_clips(
    file: Path, clip_frames: int, n_max: int, _rng: np.random.Generator
) -> Iterator[Array]:
    """Yield consecutive clips; more than half a clip at the end is completed backwards.

    A shorter end is left out.
    """
    video = read_clip(file, max_s=n_max * clip_frames / RATE_HZ)
    for start in range(0, len(video), clip_frames):
        clip = video[start : start + clip_frames]
        if 2 * len(clip) > clip_frames:
            yield np.concatenate([clip, clip[-2::-1]])[:clip_frames]


def _iterate_picture_clips(
    file: Path, clip_frames: int, _n_max: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield one clip of a photograph under a moving eye."""
    yield view_picture(read_picture(file), clip_frames, rng)
