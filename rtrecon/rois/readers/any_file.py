"""Masks from whatever file they are in."""

from __future__ import annotations

from pathlib import Path

from rtrecon.config import RoiSettings
from rtrecon.core.errors import UserError
from rtrecon.rois.readers.regions import load_regions
from rtrecon.rois.readers.suite2p import load_suite2p
from rtrecon.rois.roi_set import RoiSet
from rtrecon.sources.npy import holds_objects

ACCEPTED = (
    "a Suite2p stat.npy or the folder above it, a CaImAn .hdf5, an .nwb file, a label "
    "image (.tif, .png, .npy) or a .json list of regions"
)


def load_rois(
    path: Path | str, shape: tuple[int, int], settings: RoiSettings | None = None
) -> RoiSet:
    """Read the masks in a file or folder, on a field of `shape` (lines, pixels).

    Ids, order and masks are as in the file; what ids are, each kind's reader says.
    `settings` say which ROIs and which way up; the path in them is not looked at.
    Raises UserError with a sentence: no such file, a kind not known, a damaged file,
    no ROI in it, a mask outside the field.
    """
    path, settings = Path(path), settings or RoiSettings()
    if not path.exists():
        raise UserError(f"masks {path} do not exist; they can be {ACCEPTED}")
    if settings.transpose:
        rois = _load(path, shape[::-1], settings.only_cells).transposed()
    else:
        rois = _load(path, shape, settings.only_cells)
    if not len(rois):
        hint = "; rois.only_cells = false takes the others" * settings.only_cells
        raise UserError(f"masks {path} hold no cell{hint}")
    return rois


def _load(path: Path, shape: tuple[int, int], only_cells: bool) -> RoiSet:
    # Libraries that take long to import are, for those who have such a file.
    kind = path.suffix.lower()
    if path.is_dir() or (kind == ".npy" and holds_objects(path)):
        return load_suite2p(path, shape, only_cells)
    if kind == ".json":
        return load_regions(path, shape)
    if kind in (".npy", ".png", ".tif", ".tiff"):
        from rtrecon.rois.readers.label_image import load_label_image

        return load_label_image(path, shape)
    if kind in (".hdf5", ".h5"):
        from rtrecon.rois.readers.caiman import load_caiman

        return load_caiman(path, shape, only_cells)
    if kind == ".nwb":
        from rtrecon.rois.readers.nwb import load_plane_segmentation

        return load_plane_segmentation(path, shape, only_cells)
    raise UserError(f"masks {path} are of no known kind; they can be {ACCEPTED}")
