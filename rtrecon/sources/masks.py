"""Masks from whatever file they are in."""

from __future__ import annotations

from pathlib import Path

from rtrecon.errors import UserError
from rtrecon.rois import RoiSet
from rtrecon.sources.regions import load_regions
from rtrecon.sources.suite2p import load_stat

ACCEPTED = (
    "a Suite2p stat.npy, the Suite2p folder of one plane that holds it, "
    "or a .json list of regions"
)


def load_rois(path: Path | str, shape: tuple[int, int]) -> RoiSet:
    """Read the masks in a file or folder, on a field of `shape` (lines, pixels).

    Raises UserError with a sentence: no such file, a kind not known, a damaged file,
    a mask outside the field.
    """
    path = Path(path)
    if path.is_dir() and not (path / "stat.npy").is_file():
        raise UserError(f"folder {path} holds no stat.npy; masks can be {ACCEPTED}")
    if path.is_dir():
        return load_stat(path / "stat.npy", shape)
    if not path.is_file():
        raise UserError(f"masks {path} do not exist; they can be {ACCEPTED}")
    if path.suffix == ".npy":
        return load_stat(path, shape)
    if path.suffix == ".json":
        return load_regions(path, shape)
    raise UserError(f"masks {path} are of no known kind; they can be {ACCEPTED}")
