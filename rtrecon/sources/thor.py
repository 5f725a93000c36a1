"""Reader for ThorImage's `Image_*.raw` files, with `Experiment.xml` beside them.

Written from descriptions of the format by other readers; not tested on a recording of a
microscope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Recording, RecordingError, RecordingHints

SETTINGS_FILE = "Experiment.xml"


def open_thor(path: Path, hints: RecordingHints) -> Recording:
    """Open a raw file of uint16 images; raises `RecordingError`.

    The file holds the images of all enabled channels, then those of the next plane,
    then the flyback images, which are left out, then the next volume.
    """
    settings_path = path.with_name(SETTINGS_FILE)
    if not settings_path.is_file():
        raise RecordingError(
            f"{SETTINGS_FILE}, which describes its layout, is not beside it"
        )
    try:
        layout = _build_layout(ElementTree.parse(settings_path).getroot())
    except (ElementTree.ParseError, OSError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{settings_path} does not describe its layout: {error!r}"
        ) from None
    return RawMovie(path, layout, hints)


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
