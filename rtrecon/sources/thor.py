"""Reader for ThorImage's `Image_*.raw` files, with `Experiment.xml` beside them.

Written from descriptions of the format by other readers; not tested on a recording of a
microscope.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Recording, RecordingError, RecordingHints

SETTINGS_FILE = "Experiment.xml"
_MAX_CHANNELS = 4  # ChanA to ChanD
_N_BLANK_IMAGES = 8  # looked at, to find channels that were not enabled


def open_thor(path: Path, hints: RecordingHints) -> Recording:
    """Open a raw file of uint16 images; raises `RecordingError`.

    The file holds the images of all enabled channels, then those of the next plane,
    then the flyback images, which are left out, then the next volume. If ThorImage
    saved all channels, those that were not enabled are blank and are left out.
    """
    settings = _read_settings(path.with_name(SETTINGS_FILE))
    layout = _read_layout(path.with_name(SETTINGS_FILE))
    if _saves_all_channels(settings):
        layout = _add_blank_channels(path, layout)
    return RawMovie(path, layout, hints)


def read_thor_rate_hz(settings_path: Path) -> float | None:
    """Return the rate in an `Experiment.xml`; `RecordingError` if it has none."""
    return _read_layout(settings_path).rate_hz


def _read_settings(settings_path: Path) -> ElementTree.Element:
    if not settings_path.is_file():
        raise RecordingError(
            f"{SETTINGS_FILE}, which describes its layout, is not beside it"
        )
    try:
        return ElementTree.parse(settings_path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise RecordingError(
            f"{settings_path} does not describe its layout: {error!r}"
        ) from None


def _read_layout(settings_path: Path) -> RawLayout:
    try:
        return _build_layout(_read_settings(settings_path))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{settings_path} does not describe its layout: {error!r}"
        ) from None


def _build_layout(settings: ElementTree.Element) -> RawLayout:
    scanner, stage, stream = (
        _read_attributes(settings, name) for name in ("LSM", "ZStage", "Streaming")
    )
    n_planes = int(stage.get("steps", 1)) if stream.get("zFastEnable") == "1" else 1
    n_flyback = int(stream.get("flybackFrames", 0)) if n_planes > 1 else 0
    step_um = float(stage.get("stepSizeUM", 0.0))
    is_averaged = scanner.get("averageMode") == "1"
    n_averaged = int(scanner.get("averageNum", 1)) if is_averaged else 1
    images_per_volume = n_planes + n_flyback
    return RawLayout(
        shape=(int(scanner["pixelY"]), int(scanner["pixelX"])),
        rate_hz=float(scanner["frameRate"]) / n_averaged / images_per_volume,
        dtype="<u2",
        channels=_read_channels(settings),
        planes=tuple(k * step_um for k in range(n_planes)),
        n_flyback=n_flyback,
    )


def _saves_all_channels(settings: ElementTree.Element) -> bool:
    raw_data = settings.find("RawData")
    return raw_data is not None and raw_data.get("onlyEnabledChannels") == "0"


def _add_blank_channels(path: Path, layout: RawLayout) -> RawLayout:
    """Return the layout with the channels that the file holds without an image.

    The settings do not name the number of channels of the microscope: it is the largest
    number with which the images of all other channels are blank.
    """
    for n_channels in range(_MAX_CHANNELS, 1, -1):
        channels = tuple(range(1, n_channels + 1))
        blank = tuple(c for c in channels if c not in layout.channels)
        if max(layout.channels) > n_channels or not blank:
            continue
        whole = replace(layout, channels=channels, blank_channels=blank)
        if _are_channels_blank(path, whole):
            return whole
    return layout


def _are_channels_blank(path: Path, layout: RawLayout) -> bool:
    """Return whether the first images have no pixel in the blank channels alone."""
    n_images = min(_N_BLANK_IMAGES, path.stat().st_size // layout.image_bytes)
    with path.open("rb") as file:
        images = [file.read(layout.image_bytes) for _ in range(n_images)]

    def has_pixels(channels: tuple[int, ...]) -> bool:
        return any(
            layout.extract_channel(image, channel).any()
            for image in images
            for channel in channels
        )

    return has_pixels(layout.recorded_channels) and not has_pixels(
        layout.blank_channels
    )


def _read_attributes(settings: ElementTree.Element, name: str) -> dict[str, Any]:
    found = settings.find(name)
    if found is None:
        raise KeyError(name)
    return found.attrib


def _read_channels(settings: ElementTree.Element) -> tuple[int, ...]:
    """Return the saved wavelengths 'ChanA', 'ChanB', ... as channels from 1."""
    names = [item.get("name", "") for item in settings.iter("Wavelength")]
    letters = [name[-1] for name in names if name.startswith("Chan")]
    return tuple("ABCD".index(letter) + 1 for letter in letters) or (1,)
