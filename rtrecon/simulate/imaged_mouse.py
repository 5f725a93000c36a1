"""A subject and the field of view that a simulated microscope images of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.simulate.microscope import ImagedField, make_imaged_field
from rtrecon.simulate.movie import make_natural_movie
from rtrecon.simulate.subjects.registry import (
    choose_subject,
    make_subject,
    validate_options,
)
from rtrecon.simulate.subjects.subject import Subject, SubjectOptions

_CALIBRATION_FRAMES = 3000
_CALIBRATION_SEED = 10_000  # of the first mouse


@dataclass(frozen=True)
class ImagedMouse:
    """One subject and its field of view; the same on every day.

    noise: of its neurons, one of `NOISE_NAMES`.
    """

    mouse: Subject
    field: ImagedField
    noise: str = "poisson"


@dataclass(frozen=True)
class ImagedMouseOptions:
    """What an `ImagedMouse` is made from; an encoder's metadata store it.

    side_px: lines and pixels of the field of view.
    """

    subject: SubjectOptions = field(default_factory=SubjectOptions)
    side_px: int = 512

    @classmethod
    def from_metadata(cls, simulated: Mapping[str, Any]) -> ImagedMouseOptions:
        """Read what `to_metadata` returned; KeyError if something is missing."""
        names = [one.name for one in fields(SubjectOptions)]
        options = {name: simulated[name] for name in names if name in simulated}
        for name in ("n_neurons", "mouse_seed"):
            options[name] = simulated[name]
        return cls(SubjectOptions(**options), simulated["side_px"])

    def to_metadata(self) -> dict[str, Any]:
        """Return the options as plain values by name."""
        return {**asdict(self.subject), "side_px": self.side_px}


def make_imaged_mouse(options: ImagedMouseOptions) -> ImagedMouse:
    """Make neurons and their field of view; the options determine everything.

    Raises UserError if an option is not possible, the subject's file cannot be used, or
    the neurons do not fit into the field.
    """
    chosen = options.subject
    validate_options(chosen)
    # Before the calibration, because it may raise.
    imaged_field = make_imaged_field(
        chosen.n_neurons, options.side_px, chosen.mouse_seed
    )
    seed = _CALIBRATION_SEED + chosen.mouse_seed
    calibration = make_natural_movie(_CALIBRATION_FRAMES, seed)
    return ImagedMouse(make_subject(chosen, calibration), imaged_field, chosen.noise)


def read_imaged_mouse(
    metadata: Mapping[str, Any], path: Path, subject: str | None = None
) -> ImagedMouseOptions:
    """Return what the neurons are made from that an encoder was trained on.

    metadata, path: of the encoder. subject: as the user names it; None = as the
    metadata name it. Raises UserError if the neurons were real, or another subject.
    """
    try:
        stored = ImagedMouseOptions.from_metadata(metadata["simulated"])
    except (KeyError, TypeError):
        raise UserError(
            f"encoder {path} was not trained on a simulated mouse, so there is none to "
            "show movies to; give a recorded session, or the encoder 'demo'"
        ) from None
    return replace(stored, subject=choose_subject(stored.subject, subject))
