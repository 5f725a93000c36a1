"""The mask formats that rtrecon reads, `MASK_FORMATS`, and `load_rois` for all.

To add a format, write its reader and add an entry here. The lists of accepted files in
error messages and in the documentation are made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.rois.roi_set import RoiSet


@dataclass(frozen=True)
class MaskFormat:
    """How to recognise a mask format, read it, and describe it to the user.

    name: with its article, for sentences. suffixes: of its files, lower case; "/" is a
    folder. reader: "module:function" called as `function(path, shape, only_cells)`; it
    returns a `RoiSet` or raises UserError. The module is imported when the first such
    file is read: some libraries take long to import. ids: what the ids are. test:
    "module:function", called with the path of a file, for formats that share a suffix;
    the first entry whose test is True reads the file.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    ids: str
    test: str = ""

    def matches(self, path: Path) -> bool:
        """Return whether the file or folder at `path` is of this format."""
        if path.is_dir():
            return "/" in self.suffixes
        if path.suffix.lower() not in self.suffixes:
            return False
        return not self.test or bool(resolve_name(self.test)(path))

    def read(self, path: Path, shape: tuple[int, int], only_cells: bool) -> RoiSet:
        """Read the masks on a field of `shape` (lines, pixels); raises UserError."""
        rois: RoiSet = resolve_name(self.reader)(path, shape, only_cells)
        return rois


MASK_FORMATS = (
    MaskFormat(
        "a Suite2p stat.npy or the folder above it",
        (".npy", "/"),
        "rtrecon.rois.readers.suite2p:load_suite2p",
        "rows of stat.npy, counted on from plane to plane",
        test="rtrecon.sources.npy:has_objects",
    ),
    MaskFormat(
        "a CaImAn .hdf5",
        (".hdf5", ".h5"),
        "rtrecon.rois.readers.caiman:load_caiman",
        "columns of estimates/A",
    ),
    MaskFormat(
        "an .nwb file",
        (".nwb",),
        "rtrecon.rois.readers.nwb:load_plane_segmentation",
        "ids of the PlaneSegmentation table",
    ),
    MaskFormat(
        "a label image (.tif, .png, .npy)",
        (".tif", ".tiff", ".png", ".npy"),
        "rtrecon.rois.readers.label_image:load_label_image",
        "the labels",
    ),
    MaskFormat(
        "a .json list of regions",
        (".json",),
        "rtrecon.rois.readers.regions:load_regions",
        "ids in the file, or the order of the regions",
    ),
)


def load_rois(
    path: Path | str, shape: tuple[int, int], settings: RoiSettings | None = None
) -> RoiSet:
    """Read the masks in a file or folder, on a field of `shape` (lines, pixels).

    Ids, order and masks are those of the file; `MaskFormat.ids` tells what the ids are.
    settings: which ROIs to take, and whether to exchange rows and columns; their path
    is ignored. Raises UserError: no such file, an unknown format, a damaged file, no
    ROI in it, a mask outside the field.
    """
    path, settings = Path(path), settings or RoiSettings()
    if not path.exists():
        raise UserError(f"masks {path} do not exist; they can be {describe_formats()}")
    mask_format = find_format(path)
    if settings.transpose:
        transposed = mask_format.read(path, shape[::-1], settings.only_cells)
        rois = transposed.transpose()
    else:
        rois = mask_format.read(path, shape, settings.only_cells)
    if not len(rois):
        hint = ""
        if settings.only_cells:
            hint = "; set rois.only_cells = false to read ROIs that are not cells"
        raise UserError(f"masks {path} contain no cell{hint}")
    return rois


def find_format(path: Path) -> MaskFormat:
    """Return the format of the masks at `path`; raises UserError."""
    for candidate in MASK_FORMATS:
        if candidate.matches(path):
            return candidate
    raise UserError(
        f"masks {path} are of an unknown format; they can be {describe_formats()}"
    )


def describe_formats() -> str:
    """Return the accepted formats as part of a sentence."""
    names = [candidate.name for candidate in MASK_FORMATS]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def render_format_table() -> str:
    """Return the accepted formats as a Markdown table, for the documentation."""
    rows = [f"| {entry.name} | {entry.ids} |" for entry in MASK_FORMATS]
    return "\n".join(["| Masks | Ids of the neurons |", "|---|---|", *rows, ""])
