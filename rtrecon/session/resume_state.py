"""Files that let a restarted daemon resume a session: references and plane states.

In the session's folder, for each plane:

`reference_plane0.npz`
    the template, the masks on it and the stored field they come from; written once
`state_plane0.npz`
    the state of the plane's frame processor; written every few seconds
`trace_quality_plane0.csv`
    noise, signal to noise and neuropil coefficient of each ROI so far

All `.npz` files hold plain arrays: loading them unpickles nothing.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import TraceQuality
from rtrecon.imaging.reference import DepthReference, PlaneReference, StoredField
from rtrecon.imaging.registration.z_drift import DepthStack
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.rois.roi_set import RoiSet
from rtrecon.session.about import shorten_session_id
from rtrecon.session.session import NotASessionError, Session, list_sessions

_MASKS, _STORED, _PROCESSOR = "masks.", "stored.", "processor."


@dataclass(frozen=True)
class PlaneState:
    """State of a plane's frame processor after its newest frame.

    processor_state: arrays by name. t_first_frame_s, t_newest_frame_s: when the first
    frame of the session and the newest one were acquired, on the microscope's clock.
    """

    processor_state: dict[str, Array]
    t_first_frame_s: float
    t_newest_frame_s: float


def get_reference_path(folder: Path, plane: int) -> Path:
    """Return the file of a plane's reference."""
    return folder / f"reference_plane{plane}.npz"


def get_state_path(folder: Path, plane: int) -> Path:
    """Return the file of a plane's state."""
    return folder / f"state_plane{plane}.npz"


def get_trace_quality_path(folder: Path, plane: int) -> Path:
    """Return the file of a plane's trace quality."""
    return folder / f"trace_quality_plane{plane}.csv"


def save_reference(path: Path, reference: PlaneReference, stored: StoredField) -> None:
    """Write a plane's reference and the stored field that it was matched to."""
    arrays = {
        "template": reference.template,
        "current_image": reference.current_image,
        "scan_offset_px": np.array(reference.scan_offset_px),
        "detector_offset_counts": np.array(reference.detector_offset_counts),
        "offset_problem": np.array(reference.offset_problem),
    }
    arrays |= _pack_depths(reference.depth_reference)
    arrays |= _pack_rois(_MASKS, reference.masks.cells)
    arrays |= _pack_rois(_STORED, stored.rois)
    if stored.stored_image is not None:
        arrays["stored.image"] = stored.stored_image
    _write_arrays(path, arrays)


def load_reference(
    path: Path, settings: Settings
) -> tuple[PlaneReference, StoredField]:
    """Read a plane's reference; UserError with a sentence if it cannot be read."""
    arrays = _read_arrays(path)
    try:
        template = arrays["template"]
        shape = template.shape[0], template.shape[1]
        stored_rois = _unpack_rois(_STORED, arrays, shape)
        stored = StoredField(stored_rois, arrays.get("stored.image"))
        masks = make_cell_masks(_unpack_rois(_MASKS, arrays, shape), settings.traces)
        reference = PlaneReference(
            template,
            masks,
            arrays["current_image"],
            scan_offset_px=float(arrays["scan_offset_px"]),
            depth_reference=_unpack_depths(arrays),
            detector_offset_counts=float(arrays["detector_offset_counts"]),
            offset_problem=str(arrays["offset_problem"]),
        )
    except (KeyError, IndexError) as error:
        raise UserError(f"{path} is no reference: it lacks {error}") from None
    return reference, stored


def save_trace_quality(path: Path, ids: Array, quality: TraceQuality) -> None:
    """Write a table of the quality of each ROI's trace, one line per ROI."""
    names = [field.name for field in fields(quality)]
    columns = [getattr(quality, name).tolist() for name in names]
    with (
        open_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file)
        lines.writerow(("id", *names))
        for roi_id, *values in zip(ids.tolist(), *columns, strict=True):
            lines.writerow((roi_id, *(f"{value:.4g}" for value in values)))


def save_state(path: Path, state: PlaneState, settings: Settings) -> None:
    """Write a plane's state in place of an older one."""
    arrays = {
        f"{_PROCESSOR}{name}": array for name, array in state.processor_state.items()
    }
    arrays["times_s"] = np.array([state.t_first_frame_s, state.t_newest_frame_s])
    arrays["settings"] = np.array(_hash_settings(settings))
    _write_arrays(path, arrays)


def load_state(path: Path, settings: Settings) -> PlaneState:
    """Read a plane's state; UserError if settings changed or it cannot be read."""
    arrays = _read_arrays(path)
    if str(arrays.get("settings")) != _hash_settings(settings):
        raise UserError(
            f"{path} was saved with other registration, traces or dish settings; the "
            "session continues with a new baseline"
        )
    processor_state = {
        name.removeprefix(_PROCESSOR): array
        for name, array in arrays.items()
        if name.startswith(_PROCESSOR)
    }
    return PlaneState(processor_state, *arrays["times_s"].tolist())


def load_first_frame_time(folder: Path) -> float | None:
    """Return when the session's first frame was acquired; None if it is not stored.

    In s on the microscope's clock. A resumed session has its first frame in an earlier
    recording.
    """
    try:
        return float(_read_arrays(get_state_path(folder, plane=0))["times_s"][0])
    except (UserError, KeyError, IndexError):
        return None


def load_newest_frame_number(folder: Path) -> int | None:
    """Return the microscope's number of the newest recorded frame.

    None if no frame was recorded, or none can be read.
    """
    try:
        numbers = Session(folder).frames["frame"]
    except (UserError, KeyError):
        return None
    return int(numbers[-1]) if len(numbers) else None


def find_resumable_session(
    folder: Path, session: str, n_planes: int, *, has_reference: bool = True
) -> Path | None:
    """Return the newest recording of a session that a restarted daemon can resume.

    has_reference: whether there is a reference file for each plane; neurons in a dish
    have none.
    """
    needed = [get_state_path, *([get_reference_path] if has_reference else [])]
    name = shorten_session_id(session)
    for path in reversed([path for path in list_sessions(folder) if name in path.name]):
        is_complete = all(
            get_path(path, plane).is_file()
            for plane in range(n_planes)
            for get_path in needed
        )
        if is_complete and _read_session_id(path) == session:
            return path
    return None


def _read_session_id(path: Path) -> str:
    try:
        return Session(path).about.session
    except NotASessionError:
        return ""


def _pack_rois(prefix: str, rois: RoiSet) -> dict[str, Array]:
    names = [field.name for field in fields(rois) if field.name != "shape"]
    return {f"{prefix}{name}": getattr(rois, name) for name in names}


def _unpack_rois(
    prefix: str, arrays: Mapping[str, Array], shape: tuple[int, int]
) -> RoiSet:
    names = [field.name for field in fields(RoiSet) if field.name != "shape"]
    return RoiSet(shape=shape, **{name: arrays[f"{prefix}{name}"] for name in names})


def _pack_depths(depth: DepthReference | None) -> dict[str, Array]:
    if depth is None:
        return {}
    stack = depth.stack
    return {
        "depth.patterns": stack.patterns,
        "depth.shape": np.array(stack.shape),
        "depth.clip_range": np.array(stack.clip_range),
        "depth.template_position": np.array(stack.template_position),
        "depth.plane_distance": np.array(depth.plane_distance),
    }


def _unpack_depths(arrays: Mapping[str, Array]) -> DepthReference | None:
    if "depth.patterns" not in arrays:
        return None
    lines, pixels = arrays["depth.shape"].tolist()
    low, high = arrays["depth.clip_range"].tolist()
    position = arrays["depth.template_position"].item()
    stack = DepthStack(arrays["depth.patterns"], (lines, pixels), (low, high), position)
    return DepthReference(stack, arrays["depth.plane_distance"].item())


def _hash_settings(settings: Settings) -> str:
    """Return a hash of the settings that a frame processor's state depends on."""
    sections = json.loads(config.dump(settings))
    used = {name: sections[name] for name in ("registration", "traces", "dish")}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def _write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    with open_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read_arrays(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
