"""Metadata of ScanImage 3 to 5, which stores its settings in the text of every page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import tifffile

from rtrecon.sources.recording import RecordingError
from rtrecon.sources.scanimage_header import ScanImageHeader, read_header


def read_legacy_header(description: str) -> ScanImageHeader:
    """Interpret the settings of ScanImage 3, 4 and 5.

    Version 3 has `state.name=value`, 4 and 5.0 `scanimage.SI4.name = value`, 5.1 and
    5.2 `scanimage.SI.part.name = value`. Raises `RecordingError` for a file that is not
    a movie, and for a missing setting.
    """
    text = "\n".join(description.split("\r"))
    if text.startswith("state."):
        return _read_version_3(text)
    lines = re.findall(r"^scanimage\.(SI\d?)\.(.*)$", text, re.M)
    settings = tifffile.matlabstr2py("\n".join(f"SI.{line}" for _, line in lines))
    if not isinstance(settings, dict):
        raise RecordingError("its pages hold no settings of a known ScanImage version")
    modern = settings if lines[0][0] == "SI" else _translate_settings(settings)
    stamp = re.search(r"^(frameNumbers|Frame Number)\s*=", text, re.M)
    return replace(read_header(modern, {}), has_stamps=stamp is not None)


def _read_version_3(text: str) -> ScanImageHeader:
    """Read version 3, which does not number frames: the rate gives their times."""
    settings = dict(re.findall(r"^state\.acq\.(\w+)=(.*)$", text, re.M))
    try:
        n_slices, rate_hz = int(settings["numberOfZSlices"]), settings["frameRate"]
        header = ScanImageHeader(
            channels=tuple(
                i for i in range(1, 5) if settings.get(f"savingChannel{i}") == "1"
            ),
            rate_hz=float(rate_hz),
            n_requested=int(settings["numberOfFrames"]),
            has_stamps=False,
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


# Name of a setting in versions 4 and 5.0 -> its name since 5.1.
_MODERN_NAMES = {
    "channelsSave": "hChannels.channelSave",
    "scanFrameRate": "hRoiManager.scanFrameRate",
    "acqNumFrames": "hStackManager.framesPerSlice",
    "acqNumAveragedFrames": "hScan2D.logAverageFactor",
    "stackNumSlices": "hStackManager.numSlices",
    "stackZStepSize": "hStackManager.stackZStepSize",
    "fastZEnable": "hFastZ.enable",
    "fastZNumVolumes": "hStackManager.numVolumes",
}


def _translate_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of version 4 or 5.0 under the names that 5.1 uses."""
    modern = {
        f"SI.{name}": settings[f"SI.{old}"]
        for old, name in _MODERN_NAMES.items()
        if f"SI.{old}" in settings
    }
    period_s = settings.get("SI.scanFramePeriod")
    if period_s and "SI.scanFrameRate" not in settings:
        modern["SI.hRoiManager.scanFrameRate"] = 1 / float(period_s)
    if settings.get("SI.fastZDiscardFlybackFrames"):
        n_discarded = max(1, int(settings.get("SI.fastZNumDiscardFrames", 1)))
        modern["SI.hFastZ.numDiscardFlybackFrames"] = n_discarded
    n_slices = int(settings.get("SI.stackNumSlices", 1))
    modern["SI.hStackManager.enable"] = n_slices > 1
    return modern
