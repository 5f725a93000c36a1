"""Scanbox's `.sbx`, with the `.mat` of the same name beside it.

Written from what readers of others say of these files; no recording of a microscope was
at hand to try it on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Hints, Recording, RecordingError

# What `info.channels` says of which photomultipliers were saved.
_CHANNELS = {1: (1, 2), 2: (1,), 3: (2,)}


def open_scanbox(path: Path, hints: Hints) -> Recording:
    """Open a file of uint16 pixels, in which more light is less; raises RecordingError.

    Channels change from pixel to pixel. Of a focus that was swept, frames come with
    their place in the sweep as plane.
    """
    file = path.with_suffix(".mat")
    if not file.is_file():
        raise RecordingError(f"{file.name} is not beside it, which says its layout")
    try:
        layout = _layout(loadmat(file, squeeze_me=True)["info"])
    except Exception as error:  # damaged files break the reader in many ways
        raise RecordingError(f"{file} does not say its layout: {error!r}") from None
    return RawMovie(path, layout, hints)


def _layout(info: Any) -> RawLayout:
    lines, pixels = (int(side) for side in info["sz"].item())
    sweep = _value(info, "otwave", 0.0)
    n_planes = np.size(sweep) if _value(info, "volscan", 0) else 1
    # Lines are scanned on the way back as well, unless scanmode is 1.
    directions = 1 if int(_value(info, "scanmode", 1)) else 2
    line_hz = float(_value(info, "resfreq", np.nan)) * directions
    rate_hz = line_hz / lines / n_planes
    return RawLayout(
        shape=(lines, pixels),
        rate_hz=rate_hz if rate_hz > 0 else None,
        dtype="<u2",
        channels=_CHANNELS[int(_value(info, "channels", 2))],
        planes=tuple(float(k) for k in range(n_planes)),
        interleaved=True,
        inverted=True,
    )


def _value(info: Any, name: str, otherwise: Any) -> Any:
    """Return a field of MATLAB's struct, which newer versions have more of."""
    if name not in info.dtype.names:
        return otherwise
    value = info[name].item()
    return otherwise if np.size(value) == 0 else value
