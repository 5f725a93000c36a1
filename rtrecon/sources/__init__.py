"""Whatever frames and masks come from."""

from __future__ import annotations

import re
from pathlib import Path

from rtrecon.sources.recording import Hints, Recording, RecordingError

ACCEPTED = (
    "a TIFF file or a folder of one series of them, Suite2p's data.bin, a data set of "
    "an HDF5 file (movie.h5:/data), an .nwb file, Thor's .raw, Scanbox's .sbx, or what "
    "rtrecon captured"
)
CAPTURE_SUFFIX = ".rtrcap"
_HDF5 = (".h5", ".hdf5", ".nwb")
_TIFF = (".tif", ".tiff", ".btf")


def open(path: Path | str, hints: Hints | None = None) -> Recording:
    """Open a recording of any known kind, by its name and what is in it.

    A pattern such as 'folder/name_*.tif', or the folder of a single series, is the
    files of that series. Raises `RecordingError` with a sentence.
    """
    hints = hints or Hints()
    path, dataset = _split(str(path))
    if "*" in path.name:
        return _series(path.parent, path.name, hints)
    if path.is_dir():
        return _folder(path, hints)
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist; it can be {ACCEPTED}")
    if path.suffix.lower() in _TIFF and _by_scanimage(path):
        return _scanimage(path, hints)
    try:
        return _other(path, dataset, hints)
    except RecordingError as error:
        raise RecordingError(f"{path} cannot be replayed: {error}") from None


def _split(text: str) -> tuple[Path, str]:
    """Split 'file.h5:/data/set' into its two halves; other paths have no second one."""
    found = re.fullmatch(r"(.+\.(?:h5|hdf5|nwb)):([/\\].*)", text, re.I)
    if found is None:
        return Path(text), ""
    return Path(found[1]), found[2].replace("\\", "/")  # as Windows may spell it


def _folder(folder: Path, hints: Hints) -> Recording:
    for name in ("data.bin", "Image_0001_0001.raw", "Image_001_001.raw"):
        if (folder / name).is_file():
            return open(folder / name, hints)
    return _series(folder, "*.tif*", hints)


def _series(folder: Path, pattern: str, hints: Hints) -> Recording:
    from rtrecon.sources.series import Series, series_in

    paths = series_in(folder, pattern)
    if len(paths) == 1:
        return open(paths[0], hints)
    return Series(paths, lambda path: open(path, hints))


def _by_scanimage(path: Path) -> bool:
    from rtrecon.sources.tiff import is_scanimage, open_tiff

    with open_tiff(path) as tiff:
        return is_scanimage(tiff)


def _scanimage(path: Path, hints: Hints) -> Recording:
    from rtrecon.sources.tiff import ScanImageTiff

    if hints.rate_hz or hints.shape:
        raise RecordingError(
            f"{path} says its own rate and size; leave --rate-hz and --shape out"
        )
    return ScanImageTiff(path, hints.channel, hints.field)


def _other(path: Path, dataset: str, hints: Hints) -> Recording:
    # Libraries that take long to import are, for those who have such a file.
    kind = path.suffix.lower()
    if kind in _TIFF:
        from rtrecon.sources.plain_tiff import PlainTiff

        return PlainTiff(path, hints)
    if kind in _HDF5:
        from rtrecon.sources.hdf5_movie import Hdf5Movie

        return Hdf5Movie(path, dataset, hints)
    if kind == ".bin":
        from rtrecon.sources.suite2p_binary import open_suite2p

        return open_suite2p(path, hints)
    if kind == ".raw":
        from rtrecon.sources.thor import open_thor

        return open_thor(path, hints)
    if kind == ".sbx":
        from rtrecon.sources.scanbox import open_scanbox

        return open_scanbox(path, hints)
    if kind == CAPTURE_SUFFIX:
        from rtrecon.sources.scanimage_stream import PARSERS, Published, captured

        return Published(path.name, captured(path), PARSERS["guess"], hints)
    raise RecordingError(f"it is of no known kind; a recording can be {ACCEPTED}")
