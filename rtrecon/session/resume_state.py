"""What a daemon that was restarted needs to go on: references and state, on disk.

In a session's folder, for each plane: `reference_plane0.npz` (the template, the masks
on it, and what they were drawn on), written once, and `state_plane0.npz` (the chain's
memory), written every few seconds. Plain arrays: nothing in them is unpickled. Beside
them `neurons_plane0.csv`: noise, signal to noise and neuropil of each neuron so far.
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
from rtrecon.core.types import Array
from rtrecon.imaging.frame_processor import Worth
from rtrecon.imaging.reference import Depths, Known, Reference
from rtrecon.imaging.registration.z_drift import DepthPlanes
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.rois.roi_set import RoiSet
from rtrecon.session.session import NotARecording, Session, sessions
from rtrecon.session.tables import short_id

_MASKS, _KNOWN, _CHAIN = "masks.", "known.", "chain."


@dataclass(frozen=True)
class State:
    """A chain's memory after the image at `t_s`, of a session whose first was at t0_s.

    Both in s on the microscope's clock.
    """

    chain: dict[str, Array]
    t0_s: float
    t_s: float


def reference_file(folder: Path, plane: int) -> Path:
    """Return where a plane's reference is kept."""
    return folder / f"reference_plane{plane}.npz"


def state_file(folder: Path, plane: int) -> Path:
    """Return where a plane's state is kept."""
    return folder / f"state_plane{plane}.npz"


def neurons_file(folder: Path, plane: int) -> Path:
    """Return where it is kept what a plane's traces are worth."""
    return folder / f"neurons_plane{plane}.csv"


def save_reference(path: Path, reference: Reference, known: Known) -> None:
    """Keep a reference and what it was found by."""
    arrays = {"template": reference.template, "today": reference.today}
    arrays["scan_offset_px"] = np.array(reference.scan_offset_px)
    arrays["offset_counts"] = np.array(reference.offset_counts)
    arrays |= _depth_arrays(reference.depth)
    arrays |= _masks(_MASKS, reference.masks.cells) | _masks(_KNOWN, known.rois)
    if known.image is not None:
        arrays["known.image"] = known.image
    _write(path, arrays)


def load_reference(path: Path, settings: Settings) -> tuple[Reference, Known]:
    """Return what was kept; UserError with a sentence where it cannot be read."""
    arrays = _read(path)
    try:
        template = arrays["template"]
        shape = template.shape[0], template.shape[1]
        known = Known(_rois(_KNOWN, arrays, shape), arrays.get("known.image"))
        masks = with_rings(_rois(_MASKS, arrays, shape), settings.traces)
        reference = Reference(
            template,
            masks,
            arrays["today"],
            scan_offset_px=float(arrays["scan_offset_px"]),
            depth=_depths(arrays),
            offset_counts=float(arrays["offset_counts"]),
        )
    except (KeyError, IndexError) as error:
        raise UserError(f"{path} is no reference: it lacks {error}") from None
    return reference, known


def save_neurons(path: Path, ids: Array, worth: Worth) -> None:
    """Write what each neuron's trace is worth, a line each, for people and programs."""
    names = [field.name for field in fields(worth)]
    columns = [getattr(worth, name).tolist() for name in names]
    half_written = path.with_suffix(".part")
    with half_written.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("id", *names))
        for roi_id, *values in zip(ids.tolist(), *columns, strict=True):
            lines.writerow((roi_id, *(f"{value:.4g}" for value in values)))
    half_written.replace(path)


def save_state(path: Path, state: State, settings: Settings) -> None:
    """Keep a chain's memory, in place of an older one."""
    arrays = {f"{_CHAIN}{key}": array for key, array in state.chain.items()}
    arrays["times_s"] = np.array([state.t0_s, state.t_s])
    arrays["settings"] = np.array(_fingerprint(settings))
    _write(path, arrays)


def load_state(path: Path, settings: Settings) -> State:
    """Return what was kept; UserError where settings changed or it cannot be read."""
    arrays = _read(path)
    if str(arrays.get("settings")) != _fingerprint(settings):
        raise UserError(
            f"{path} was kept under other register or traces settings; the session "
            "goes on with a fresh baseline"
        )
    chain = {
        key.removeprefix(_CHAIN): array
        for key, array in arrays.items()
        if key.startswith(_CHAIN)
    }
    t0_s, t_s = arrays["times_s"].tolist()
    return State(chain, t0_s, t_s)


def earlier_part(folder: Path, session: str, n_planes: int) -> Path | None:
    """Return the newest recording of a session that a restart can go on from."""
    own = [path for path in sessions(folder) if short_id(session) in path.name]
    for path in reversed(own):
        whole = all(
            file(path, plane).is_file()
            for plane in range(n_planes)
            for file in (reference_file, state_file)
        )
        if whole and _session_of(path) == session:
            return path
    return None


def _session_of(path: Path) -> str:
    try:
        return Session(path).about.session
    except NotARecording:
        return ""


def _masks(prefix: str, rois: RoiSet) -> dict[str, Array]:
    own = {f.name: getattr(rois, f.name) for f in fields(rois) if f.name != "shape"}
    return {f"{prefix}{name}": array for name, array in own.items()}


def _rois(prefix: str, arrays: Mapping[str, Array], shape: tuple[int, int]) -> RoiSet:
    names = [f.name for f in fields(RoiSet) if f.name != "shape"]
    own = {name: arrays[f"{prefix}{name}"] for name in names}
    return RoiSet(shape=shape, **own)


def _depth_arrays(depth: Depths | None) -> dict[str, Array]:
    if depth is None:
        return {}
    planes = depth.planes
    place = [*planes.shape, *planes.usual, planes.start, depth.step]
    return {"depth.patterns": planes.patterns, "depth.place": np.array(place)}


def _depths(arrays: Mapping[str, Array]) -> Depths | None:
    if "depth.place" not in arrays:
        return None
    lines, pixels, low, high, start, step = arrays["depth.place"].tolist()
    shape, usual = (int(lines), int(pixels)), (low, high)
    return Depths(DepthPlanes(arrays["depth.patterns"], shape, usual, start), step)


def _fingerprint(settings: Settings) -> str:
    whole = json.loads(config.dump(settings))
    parts = {key: whole[key] for key in ("register", "traces")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write(path: Path, arrays: Mapping[str, Array]) -> None:
    half_written = path.with_suffix(".part")
    with half_written.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    half_written.replace(path)


def _read(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
