"""What ScanImage before 2016 says of its frames, in the text of every page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import tifffile

from rtrecon.sources.scanimage import Header, RecordingError, read_header


def read_old_header(description: str) -> Header:
    """Interpret the settings of ScanImage 3, 4 and 5.

    Version 3 has `state.name=value`, 4 and 5.0 `scanimage.SI4.name = value`, 5.1 and
    5.2 `scanimage.SI.part.name = value`. Raises `RecordingError` for what is no movie,
    and for a missing setting.
    """
    text = "\n".join(description.split("\r"))
    if text.startswith("state."):
        return _read_3(text)
    lines = re.findall(r"^scanimage\.(SI\d?)\.(.*)$", text, re.M)
    settings = tifffile.matlabstr2py("\n".join(f"SI.{line}" for _, line in lines))
    if not isinstance(settings, dict):
        raise RecordingError("its pages say nothing that is known of ScanImage")
    later = settings if lines[0][0] == "SI" else _as_of_5_1(settings)
    numbered = re.search(r"^(frameNumbers|Frame Number)\s*=", text, re.M) is not None
    return replace(read_header(later, {}), numbered=numbered)


def _read_3(text: str) -> Header:
    """Read version 3, which numbers no frame: they follow each other at the rate."""
    settings = dict(re.findall(r"^state\.acq\.(\w+)=(.*)$", text, re.M))
    try:
        n_slices, rate_hz = int(settings["numberOfZSlices"]), settings["frameRate"]
        header = Header(
            channels=tuple(
                i for i in range(1, 5) if settings.get(f"savingChannel{i}") == "1"
            ),
            rate_hz=float(rate_hz),
            announced=int(settings["numberOfFrames"]),
            numbered=False,
        )
    except (KeyError, ValueError) as error:
        raise RecordingError(
            f"its settings lack {error}; ScanImage 3.8 and those since 4 can be read"
        ) from None
    if n_slices > 1 or not header.channels:
        raise RecordingError(
            f"it holds {n_slices} planes of {len(header.channels)} channels; one plane "
            "and at least one channel are needed"
        )
    return header


# What versions 4 and 5.0 call a setting -> what later ones do.
_LATER = {
    "channelsSave": "hChannels.channelSave",
    "scanFrameRate": "hRoiManager.scanFrameRate",
    "acqNumFrames": "hStackManager.framesPerSlice",
    "acqNumAveragedFrames": "hScan2D.logAverageFactor",
    "stackNumSlices": "hStackManager.numSlices",
    "stackZStepSize": "hStackManager.stackZStepSize",
    "fastZEnable": "hFastZ.enable",
    "fastZNumVolumes": "hStackManager.numVolumes",
}


def _as_of_5_1(settings: dict[str, Any]) -> dict[str, Any]:
    later = {
        f"SI.{name}": settings[f"SI.{old}"]
        for old, name in _LATER.items()
        if f"SI.{old}" in settings
    }
    period_s = settings.get("SI.scanFramePeriod")
    if period_s and "SI.scanFrameRate" not in settings:
        later["SI.hRoiManager.scanFrameRate"] = 1 / float(period_s)
    if settings.get("SI.fastZDiscardFlybackFrames"):
        discarded = max(1, int(settings.get("SI.fastZNumDiscardFrames", 1)))
        later["SI.hFastZ.numDiscardFlybackFrames"] = discarded
    n_slices = int(settings.get("SI.stackNumSlices", 1))
    later["SI.hStackManager.enable"] = n_slices > 1
    return later
