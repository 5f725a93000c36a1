"""The mask formats that rtrecon reads, `MASK_FORMATS`, and `load_rois` for all.

To add a format, write its reader and add an entry here. The lists of accepted files in
error messages and in the documentation are made from this table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.rois.roi_set import RoiSet

_MAX_SIDE_PX = 2**15  # of a field, as the protocol allows


@dataclass(frozen=True)
class MaskFormat:
    """How to recognise a mask format, read it, and describe it to the user.

    name: with its article, for sentences. suffixes: of its files, lower case; "/" is a
    folder. reader: "module:function" called as `function(path, shape, only_cells)`; it
    returns a `RoiSet` or raises UserError. The module is imported when the first such
    file is read: some libraries take long to import. ids: what the ids are. test:
    "module:function", called with the path of a file, for formats that share a suffix;
    the first entry whose test is True reads the file. shape_finder: "module:function",
    called with the path; it returns the (lines, pixels) of the field if the file stores
    them, else None. has_tables: whether the user may name a table of the file after the
    path (mouse.nwb:/processing/...); reader and shape_finder get it as last argument.
    """

    name: str
    suffixes: tuple[str, ...]
    reader: str
    ids: str
    test: str = ""
    shape_finder: str = ""
    has_tables: bool = False

    def matches(self, path: Path) -> bool:
        """Return whether the file or folder at `path` is of this format."""
        if path.is_dir():
            return "/" in self.suffixes
        if path.suffix.lower() not in self.suffixes:
            return False
        return not self.test or bool(resolve_name(self.test)(path))

    def read(
        self, path: Path, shape: tuple[int, int], only_cells: bool, table: str = ""
    ) -> RoiSet:
        """Read the masks on a field of `shape` (lines, pixels); raises UserError."""
        more = (table,) if self.has_tables else ()
        rois: RoiSet = resolve_name(self.reader)(path, shape, only_cells, *more)
        return rois

    def find_shape(self, path: Path, table: str = "") -> tuple[int, int] | None:
        """Return the (lines, pixels) of the field, or None if they are not stored."""
        if not self.shape_finder:
            return None
        more = (table,) if self.has_tables else ()
        shape: tuple[int, int] | None = resolve_name(self.shape_finder)(path, *more)
        return shape


MASK_FORMATS = (
    MaskFormat(
        "a Suite2p stat.npy or the folder above it",
        (".npy", "/"),
        "rtrecon.rois.readers.suite2p:load_suite2p",
        "rows of stat.npy, counted on from plane to plane",
        test="rtrecon.sources.npy:has_objects",
        shape_finder="rtrecon.rois.readers.suite2p:find_shape",
    ),
    MaskFormat(
        "a CaImAn .hdf5",
        (".hdf5", ".h5"),
        "rtrecon.rois.readers.caiman:load_caiman",
        "columns of estimates/A",
        shape_finder="rtrecon.rois.readers.caiman:find_shape",
    ),
    MaskFormat(
        "an .nwb file",
        (".nwb",),
        "rtrecon.rois.readers.nwb:load_plane_segmentation",
        "ids of the PlaneSegmentation table",
        shape_finder="rtrecon.rois.readers.nwb:find_shape",
        has_tables=True,
    ),
    MaskFormat(
        "a label image (.tif, .png, .npy)",
        (".tif", ".tiff", ".png", ".npy"),
        "rtrecon.rois.readers.label_image:load_label_image",
        "the labels",
        shape_finder="rtrecon.rois.readers.label_image:find_shape",
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

    Ids, order and masks are those of the file; `MaskFormat.ids` describes the ids.
    settings: which ROIs to take, and whether to exchange rows and columns; their path
    is ignored. Raises UserError: no such file, an unknown format, a damaged file, no
    ROI in it, a mask outside the field.
    """
    settings = settings or RoiSettings()
    file, table = split_table(path)
    if not file.exists():
        raise UserError(f"masks {path} do not exist; they can be {describe_formats()}")
    mask_format = find_format(file)
    file_shape = shape[::-1] if settings.transpose else shape
    try:
        rois = mask_format.read(file, file_shape, settings.only_cells, table)
    except UserError as error:
        if str(file) in str(error):
            raise
        raise UserError(f"masks {path} cannot be used: {error}") from None
    if settings.transpose:
        rois = rois.transpose()
    if not len(rois):
        hint = ""
        if settings.only_cells:
            hint = "; set rois.only_cells = false to read ROIs that are not cells"
        raise UserError(f"masks {path} contain no cell{hint}")
    return rois


def load_rois_of_any_field(
    path: Path | str, settings: RoiSettings | None, usual_shape: tuple[int, int]
) -> RoiSet:
    """Read masks whose field is not known yet; `shape` is a field that fits them.

    It is the field that the file stores, else one of `usual_shape` or, where masks
    reach further, more. Raises UserError, as `load_rois` does.
    """
    settings = settings or RoiSettings()
    file, table = split_table(path)
    stored = find_format(file).find_shape(file, table) if file.exists() else None
    if stored is not None:
        shape = stored[::-1] if settings.transpose else stored
        return load_rois(path, shape, settings)
    rois = load_rois(path, (_MAX_SIDE_PX, _MAX_SIDE_PX), settings)
    lines, pixels = (
        max(side, int(indices.max(initial=0)) + 1)
        for side, indices in zip(usual_shape, (rois.rows, rois.cols), strict=True)
    )
    return replace(rois, shape=(lines, pixels))


def split_table(path: Path | str) -> tuple[Path, str]:
    """Split 'mouse.nwb:/table' into file and table; other paths have no table."""
    suffixes = [
        suffix[1:]
        for entry in MASK_FORMATS
        if entry.has_tables
        for suffix in entry.suffixes
    ]
    found = re.fullmatch(rf"(.+\.(?:{'|'.join(suffixes)})):([/\\].*)", str(path), re.I)
    if found is None:
        return Path(path), ""
    return Path(found[1]), found[2].replace("\\", "/")  # Windows turns / into \


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
