"""ThorImage's `Image_*.raw`, with the `Experiment.xml` beside it.

Written from what readers of others say of these files; no recording of a microscope was
at hand to try it on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rtrecon.sources.raw import RawLayout, RawMovie
from rtrecon.sources.recording import Hints, Recording, RecordingError

SETTINGS_FILE = "Experiment.xml"


def open_thor(path: Path, hints: Hints) -> Recording:
    """Open a raw file of uint16 images, flyback left out; raises `RecordingError`.

    Images of the channels that were on follow each other; then come those of the next
    plane, the images of the flyback, the next volume.
    """
    file = path.with_name(SETTINGS_FILE)
    if not file.is_file():
        raise RecordingError(f"{SETTINGS_FILE} is not beside it, which says its layout")
    try:
        layout = _layout(ElementTree.parse(file).getroot())
    except (ElementTree.ParseError, OSError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{file} does not say its layout: {error!r}") from None
    return RawMovie(path, layout, hints)


def _layout(settings: ElementTree.Element) -> RawLayout:
    scanner, stage, stream = (
        _attributes(settings, name) for name in ("LSM", "ZStage", "Streaming")
    )
    n_planes = int(stage.get("steps", 1)) if stream.get("zFastEnable") == "1" else 1
    flyback = int(stream.get("flybackFrames", 0)) if n_planes > 1 else 0
    step_um = float(stage.get("stepSizeUM", 0.0))
    images = n_planes + flyback
    averaged = (
        int(scanner.get("averageNum", 1)) if scanner.get("averageMode") == "1" else 1
    )
    return RawLayout(
        shape=(int(scanner["pixelY"]), int(scanner["pixelX"])),
        rate_hz=float(scanner["frameRate"]) / averaged / images,
        dtype="<u2",
        channels=_channels(settings),
        planes=tuple(k * step_um for k in range(n_planes)),
        flyback=flyback,
    )


def _attributes(settings: ElementTree.Element, name: str) -> dict[str, Any]:
    found = settings.find(name)
    if found is None:
        raise KeyError(name)
    return found.attrib


def _channels(settings: ElementTree.Element) -> tuple[int, ...]:
    """Read the wavelengths 'ChanA', 'ChanB', ... that were saved."""
    names = [item.get("name", "") for item in settings.iter("Wavelength")]
    letters = [name[-1] for name in names if name.startswith("Chan")]
    return tuple("ABCD".index(letter) + 1 for letter in letters) or (1,)
