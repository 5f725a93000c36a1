"""Names of the files of one recording: which belong together, and in which order.

ScanImage writes name_00001_00002.tif (acquisition, part), PrairieView (Bruker)
name_Cycle00001_Ch2_000001.ome.tif, Micro-Manager name_MMStack_Pos0_1.ome.tif or
img_channel000_position000_time000000000_z000.tif, ThorImage
ChanA_001_001_002_003.tif (plane, time), and MetaMorph name_w1GFP_s3_t12.TIF (channel,
stage position, time).
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rtrecon.sources.recording import RecordingError

_MAX_LISTED = 5  # names in an error message

_PRAIRIE_VIEW = re.compile(
    r"(?P<name>.+)_Cycle(?P<cycle>\d+)_Ch(?P<channel>\d+)_(?P<number>\d+)"
)
_THOR = re.compile(
    r"Chan(?P<letter>[A-D])_(?P<name>\d{3,}_\d{3,})_(?P<plane>\d{3,})_(?P<number>\d{3,})"
)
_MICRO_MANAGER = re.compile(
    r"(?P<name>.+_(?:NDTiffStack|MMStack(?:_(?:[^_]*Pos(?:_?\d{3}_\d{3}|\d+)|Default))?))"
    r"(?:_(?P<number>\d+))?"
)
_MM_SINGLE_IMAGES = re.compile(
    r"(?P<name>.*)img_channel(?P<channel>\d+)_position(?P<position>\d+)"
    r"_time(?P<number>\d+)_z(?P<plane>\d+)"
)
_META_MORPH = re.compile(
    r"(?P<name>.+?)(?:_w(?P<channel>\d).*?)?(?:_s(?P<position>\d+))?_t(?P<number>\d+)",
    re.I,
)
# A number after "_" counts files, as do two of ScanImage's; a word may follow them.
_NUMBERED = re.compile(
    r"(?P<name>.*?)(?P<number>(?:_\d{5}_|_)(?!20\d{6}$)\d+)(?P<word>_[^\W\d_]+)?"
)
# img0001 counts files; mouse12 and a date do not.
_NUMBERED_DIRECTLY = re.compile(r"(?P<name>.*?)(?P<number>(?!20\d{6}$)\d{3,})")


@dataclass(frozen=True)
class SeriesFile:
    """A file of a series and what its name describes.

    name: of the series. counters: its place among the files, as numbers. channel: from
    1; None without one. plane: from 1; None without one. position: of the stage, as the
    name counts it; None without one. Files of other positions are another series.
    """

    path: Path
    name: str
    counters: tuple[int, ...] = ()
    channel: int | None = None
    plane: int | None = None
    position: int | None = None


def find_series_files(
    folder: Path,
    pattern: str,
    is_explicit: bool = False,
    position: int | None = None,
) -> list[SeriesFile]:
    """Return the files that match, in the order of their numbers.

    Upper and lower case are the same; hidden files, such as the "._" copies of macOS,
    are left out. is_explicit: the user wrote the pattern, and all files that match it
    are one series. position: files of this stage position only. Raises
    `RecordingError` if there is no file, or if a folder holds more than one series.
    """
    matches_pattern = re.compile(fnmatch.translate(pattern), re.I).match
    paths = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if matches_pattern(path.name)
        and path.is_file()
        and not path.name.startswith(".")
    ]
    if not paths:
        raise RecordingError(f"no file {pattern} is in {folder}")
    files = sorted(map(parse_file_name, paths), key=_sort_key)
    files = select_position(files, position)
    by_name = defaultdict(list)
    for file in files:
        by_name[file.name].append(file.path)
    if len(by_name) > 1 and not is_explicit:
        one, *others = by_name.values()
        example = _make_pattern(one, [path for paths in others for path in paths])
        raise RecordingError(
            f"{folder} holds {len(by_name)} recordings: {_list_names(by_name)}; name "
            f"the files of one, such as '{example}'{_suggest_position(files)}"
        )
    return files


def select_position(files: list[SeriesFile], position: int | None) -> list[SeriesFile]:
    """Return the files of a stage position; all if it is None.

    Raises `RecordingError` if no file is of this position.
    """
    if position is None:
        return files
    selected = [file for file in files if file.position == position]
    if not selected:
        choices = (
            ", ".join(map(str, list_positions(files)))
            or "none in the names of the files"
        )
        raise RecordingError(
            f"no file is of stage position {position}; positions: {choices or 'none'}"
        )
    return selected


def list_positions(files: list[SeriesFile]) -> list[int]:
    """Return the stage positions in the names of the files, sorted."""
    return sorted({file.position for file in files if file.position is not None})


def is_stack_name(path: Path) -> bool:
    """Return whether Micro-Manager gives this name to a file of many images."""
    stem = re.sub(r"\.ome$", "", path.stem, flags=re.I)
    return _MICRO_MANAGER.fullmatch(stem) is not None


def find_files_of_series(path: Path) -> list[Path]:
    """Return the files beside this one whose names differ only in their numbers."""
    series = parse_file_name(path)
    if not series.counters:
        return [path]
    try:
        others = list(path.parent.iterdir())
    except OSError:  # a folder that may not be listed
        return [path]
    return [
        other
        for other in others
        if other.suffix.lower() == path.suffix.lower()
        and not other.name.startswith(".")
        and parse_file_name(other).name == series.name
    ]


def parse_file_name(path: Path) -> SeriesFile:
    """Return where a file belongs in a series, by its name."""
    stem = re.sub(r"\.ome$", "", path.stem, flags=re.I)
    counters: tuple[int, ...]
    if found := _PRAIRIE_VIEW.fullmatch(stem):
        counters = int(found["cycle"]), int(found["number"])
        return SeriesFile(path, found["name"], counters, int(found["channel"]))
    if found := _THOR.fullmatch(stem):
        channel = "ABCD".index(found["letter"]) + 1
        counters = (int(found["number"]),)
        return SeriesFile(path, found["name"], counters, channel, int(found["plane"]))
    if found := _MICRO_MANAGER.fullmatch(stem):
        return SeriesFile(path, found["name"], (int(found["number"] or 0),))
    if found := _MM_SINGLE_IMAGES.fullmatch(stem):
        channel, plane = int(found["channel"]) + 1, int(found["plane"]) + 1
        name = f"{found['name']}position{found['position']}"
        counters, position = (int(found["number"]),), int(found["position"])
        return SeriesFile(path, name, counters, channel, plane, position)
    if found := _META_MORPH.fullmatch(stem):
        stage = int(found["position"]) if found["position"] else None
        name = found["name"] + ("" if stage is None else f"_s{stage}")
        channel, counters = int(found["channel"] or 1), (int(found["number"]),)
        return SeriesFile(path, name, counters, channel, position=stage)
    found = _NUMBERED.fullmatch(stem) or _NUMBERED_DIRECTLY.fullmatch(stem)
    if found is None:
        return SeriesFile(path, stem)
    word = found.groupdict().get("word") or ""
    counters = tuple(int(n) for n in re.findall(r"\d+", found["number"]))
    return SeriesFile(path, found["name"] + word, counters)


def count_missing_files(files: Sequence[SeriesFile]) -> list[int]:
    """Return for each file how many are missing between the file before and it.

    All 0 if the numbers are not a count of files, such as the time of day.
    """
    steps = [_count_between(a.counters, b.counters) for a, b in pairwise(files)]
    return [0, *steps] if sum(steps) < len(files) else [0] * len(files)


def list_next_paths(path: Path) -> list[Path]:
    """Return possible names of the next file: the next part, or acquisition."""
    found = re.fullmatch(r"(.*?)_(\d{5})(?:_(\d{5}))?", path.stem)
    if found is None:
        return []
    stem, acquisition, part = found[1], int(found[2]), found[3]
    if part is None:
        return [path.with_stem(f"{stem}_{acquisition + 1:05d}")]
    return [
        path.with_stem(f"{stem}_{acquisition:05d}_{int(part) + 1:05d}"),
        path.with_stem(f"{stem}_{acquisition + 1:05d}_00001"),
    ]


def _suggest_position(files: list[SeriesFile]) -> str:
    positions = list_positions(files)
    if len(positions) < 2:
        return ""
    return f", or give --position {positions[0]}"


def _sort_key(file: SeriesFile) -> tuple[object, ...]:
    # In a name, "mouse9" comes before "mouse12".
    name = [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", file.name)
    ]
    return name, file.counters, file.plane or 0, file.channel or 0, file.path.name


def _count_between(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    if not before or len(before) != len(after) or before[:-1] != after[:-1]:
        return 0
    return max(0, after[-1] - before[-1] - 1)


def _list_names(by_name: dict[str, list[Path]]) -> str:
    names = [name or paths[0].stem for name, paths in by_name.items()]
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _make_pattern(paths: list[Path], others: list[Path]) -> str:
    """Return a pattern that matches these files of one series, and no others."""
    names = [path.name for path in paths]
    first, suffix = names[0], paths[0].suffix
    columns = zip(*names, strict=False)
    differing = (k for k, letters in enumerate(columns) if len({*letters}) > 1)
    prefix = first[: next(differing, len(first))]
    stem = prefix.removesuffix(suffix).rstrip("0123456789" if len(paths) > 1 else "")
    pattern = f"{stem}*{suffix}"
    if not any(fnmatch.fnmatch(path.name, pattern) for path in others):
        return pattern
    return prefix + "?" * (len(first) - len(prefix) - len(suffix)) + suffix
