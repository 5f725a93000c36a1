"""The recording formats that rtrecon reads: `FORMATS` has one entry per format.

To add a format, write its reader and add an entry here. Every command that reads
recordings opens them through this table; the lists of accepted files in error messages,
in `--help` and in the documentation are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from rtrecon.sources.recording import Recording, RecordingError, RecordingHints


@dataclass(frozen=True)
class RecordingFormat:
    """How to recognise a recording format, open it, and describe it to the user.

    name: with its article, for sentences. suffixes: of its files, lower case. opener:
    "module:function" called as `function(path, hints)`; it returns a `Recording` or
    raises `RecordingError`. The module is imported when the first such file is opened:
    some libraries take long to import. example: a path as the user types it. needs:
    options that the user must give. test: "module:function", called with the path, for
    formats that share a suffix; the first entry whose test is True opens the file.
    folder_files: a folder that contains one of these files is opened as that file.
    has_datasets: whether the user may name a dataset after the path (movie.h5:/data).
    """

    name: str
    suffixes: tuple[str, ...]
    opener: str
    example: str
    needs: str = ""
    test: str = ""
    folder_files: tuple[str, ...] = ()
    has_datasets: bool = False

    def matches(self, path: Path) -> bool:
        """Return whether the file at `path` is of this format."""
        if path.suffix.lower() not in self.suffixes:
            return False
        return not self.test or bool(resolve_name(self.test)(path))

    def open(self, path: Path, hints: RecordingHints) -> Recording:
        """Open the file; raises `RecordingError`."""
        recording: Recording = resolve_name(self.opener)(path, hints)
        return recording


_TIFF = (".tif", ".tiff", ".btf")
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".gif")

FORMATS = (
    RecordingFormat(
        "a ScanImage TIFF of version 3.8 or 4 to 2025",
        _TIFF,
        "rtrecon.sources.scanimage_tiff:open_scanimage_tiff",
        "day3_00001.tif",
        test="rtrecon.sources.tiff_file:is_scanimage_file",
    ),
    RecordingFormat(
        "another TIFF (ImageJ, OME, Micro-Manager, ...)",
        _TIFF,
        "rtrecon.sources.plain_tiff:open_plain_tiff",
        "stack.tif",
        needs="`--rate-hz`, unless it stores a frame interval",
    ),
    RecordingFormat(
        "Suite2p's data.bin or its folder",
        (".bin",),
        "rtrecon.sources.suite2p_binary:open_suite2p_binary",
        "plane0/data.bin",
        needs="`--shape` and `--rate-hz`, if no `ops.npy` or `db.npy` lies beside it",
        folder_files=("data.bin",),
    ),
    RecordingFormat(
        "an NWB file with a TwoPhotonSeries",
        (".nwb",),
        "rtrecon.sources.hdf5_movie:Hdf5Movie",
        "mouse.nwb:/acquisition/movie",
        has_datasets=True,
    ),
    RecordingFormat(
        "a dataset of an HDF5 file (movie.h5:/data)",
        (".h5", ".hdf5"),
        "rtrecon.sources.hdf5_movie:Hdf5Movie",
        "movie.h5:/data",
        needs="`--rate-hz`",
        has_datasets=True,
    ),
    RecordingFormat(
        "a measurement in a Femtonics .mesc file",
        (".mesc",),
        "rtrecon.sources.mesc:MescRecording",
        "mouse.mesc:/MSession_0/MUnit_0",
        has_datasets=True,
    ),
    RecordingFormat(
        "a ThorImage .raw beside its Experiment.xml",
        (".raw",),
        "rtrecon.sources.thor:open_thor",
        "Image_0001_0001.raw",
        folder_files=("Image_0001_0001.raw", "Image_001_001.raw"),
    ),
    RecordingFormat(
        "a Scanbox .sbx beside its .mat",
        (".sbx",),
        "rtrecon.sources.scanbox:open_scanbox",
        "mouse.sbx",
    ),
    RecordingFormat(
        "a film (mp4, avi, mov, ...)",
        FILM_SUFFIXES,
        "rtrecon.sources.film:open_film",
        "culture.mp4",
        needs="`--interval-s` (or `--rate-hz`): a film does not tell the time between "
        "its images",
    ),
    RecordingFormat(
        "messages that `rtrecon capture` wrote",
        (".rtrcap",),
        "rtrecon.sources.scanimage_stream:open_capture",
        "scanimage.rtrcap",
    ),
)


# Formats that no reader here supports -> what the user can do.
_EXPORT_HINTS = {
    ".czi": "ZEN of Zeiss wrote it; save it with Fiji as a TIFF",
    ".lif": "LAS X of Leica wrote it; save it with Fiji as a TIFF",
    ".oir": "FluoView of Olympus wrote it; save it with Fiji as a TIFF",
}


def find_format(path: Path) -> RecordingFormat:
    """Return the format of the file at `path`; raises `RecordingError`."""
    for candidate in FORMATS:
        if candidate.matches(path):
            return candidate
    if path.suffix.lower() in _EXPORT_HINTS:
        hint = _EXPORT_HINTS[path.suffix.lower()]
        raise RecordingError(f"{path} cannot be opened: {hint}")
    raise RecordingError(
        f"{path} cannot be opened: its format is unknown. A recording can be "
        f"{describe_formats()}"
    )


def describe_formats() -> str:
    """Return the accepted formats as part of a sentence."""
    names = [candidate.name for candidate in FORMATS]
    return ", ".join(names) + ", or a folder or pattern of one series of TIFF files"


def render_format_table() -> str:
    """Return the accepted formats as a Markdown table, for the documentation."""
    rows = [
        f"| {entry.name} | {' '.join(f'`{suffix}`' for suffix in entry.suffixes)} "
        f"| `{entry.example}` | {entry.needs} |"
        for entry in FORMATS
    ]
    head = "| Recording | Suffix | How to name it | Options you must give |"
    return "\n".join([head, "|---|---|---|---|", *rows, ""])
