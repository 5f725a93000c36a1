"""Reader for Scanbox's `.sbx` files, with the `.mat` file of the same name beside them.

Written from descriptions of the format by other readers; not tested on a recording of a
microscope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Recording, RecordingError, RecordingHints

# Value of `info.channels` -> the photomultipliers that were saved, before version 3.
_CHANNELS = {1: (1, 2), 2: (1,), 3: (2,)}


def open_scanbox(path: Path, hints: RecordingHints) -> Recording:
    """Open a file of uint16 pixels that are smaller where more light arrived.

    Channels change from pixel to pixel. If the focus was swept, each position of the
    sweep is a plane. Raises `RecordingError`.
    """
    settings_path = path.with_suffix(".mat")
    if not settings_path.is_file():
        raise RecordingError(
            f"{settings_path.name}, which describes its layout, is not beside it"
        )
    try:
        layout = _build_layout(loadmat(settings_path, squeeze_me=True)["info"])
    except Exception as error:  # damaged files raise exceptions of many types
        raise RecordingError(
            f"{settings_path} does not describe its layout: {error!r}"
        ) from None
    return RawMovie(path, layout, hints)


def _build_layout(info: Any) -> RawLayout:
    lines, pixels = (int(side) for side in info["sz"].item())
    if lines < 1 or pixels < 1:
        raise ValueError(f"sz = [{lines}, {pixels}]")
    n_planes = _count_planes(info)
    # Unless scanmode is 1, lines are scanned in both directions.
    n_directions = 1 if int(_read_field(info, "scanmode", 1)) else 2
    line_rate_hz = float(_read_field(info, "resfreq", np.nan)) * n_directions
    rate_hz = line_rate_hz / lines / n_planes
    return RawLayout(
        shape=(lines, pixels),
        rate_hz=rate_hz if rate_hz > 0 else None,
        dtype="<u2",
        channels=_read_channels(info),
        planes=tuple(float(k) for k in range(n_planes)),
        is_interleaved=True,
        is_inverted=True,
    )


def _read_channels(info: Any) -> tuple[int, ...]:
    """Return the saved channels, which version 3 stores in `info.chan.save`."""
    code = int(_read_field(info, "channels", 2))
    if code in _CHANNELS:
        return _CHANNELS[code]
    settings = _read_field(info, "chan", None)
    if settings is None:
        raise ValueError(f"channels = {code} without chan.save")
    saved = np.atleast_1d(_read_field(settings, "save", []))
    channels = tuple(int(index) + 1 for index in np.flatnonzero(saved))
    if not channels:
        raise ValueError(f"channels = {code} and chan.save = {saved.tolist()}")
    return channels


def _count_planes(info: Any) -> int:
    """Return the positions of the focus: version 3 stores them in `etl_table`."""
    table = np.asarray(_read_field(info, "etl_table", []))
    if not _read_field(info, "volscan", len(np.atleast_1d(table)) > 1):
        return 1
    if table.size:
        return len(np.atleast_1d(table))
    sweep = np.atleast_1d(_read_field(info, "otwave", []))
    if len(sweep) > 1:
        return len(sweep)
    settings = np.atleast_1d(_read_field(info, "otparam", []))
    return max(1, int(settings[2])) if len(settings) > 2 else 1


def _read_field(info: Any, name: str, default: Any) -> Any:
    """Return a field of MATLAB's struct; older versions of Scanbox have fewer."""
    if name not in info.dtype.names:
        return default
    value = info[name].item()
    return default if np.size(value) == 0 else value
