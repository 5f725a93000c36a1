"""The subjects by the name that `--subject` chooses: `SUBJECTS` has one entry each.

To add a subject, write its file and add an entry here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from pkgutil import resolve_name

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.simulate.subjects.subject import (
    NOISE_NAMES,
    Subject,
    SubjectOptions,
    SubjectRequest,
)


@dataclass(frozen=True)
class SubjectKind:
    """How to make a subject, and how to describe it to the user.

    maker: "module:function" called with a `SubjectRequest`; it returns a `Subject` or
    raises UserError. The module is imported when the subject is made: some need torch.
    example: as the user names it.
    """

    name: str
    maker: str
    description: str
    needs_file: bool = False

    @property
    def example(self) -> str:
        """How the user names it."""
        return f"{self.name}:FILE" if self.needs_file else self.name


SUBJECTS = (
    SubjectKind(
        "simulated",
        "rtrecon.simulate.subjects.simulated:make_subject",
        "six kinds of neurons that the authors of rtrecon wrote",
    ),
    SubjectKind(
        "sensorium",
        "rtrecon.simulate.subjects.sensorium:make_subject",
        "real V1 neurons: a baseline model of SENSORIUM 2022 (.pth)",
        needs_file=True,
    ),
    SubjectKind(
        "random-cnn",
        "rtrecon.simulate.subjects.random_cnn:make_subject",
        "sparse mixtures of features of a random convolutional network",
    ),
)


def make_subject(options: SubjectOptions, calibration: Array) -> Subject:
    """Make the neurons; the uint8 movie `calibration` sets gains and rates.

    Raises UserError where the options or the subject's file cannot be used.
    """
    validate_options(options)
    kind, file = parse_subject(options.subject)
    if file is not None and options.file_sha256:
        _require_same_file(file, options.file_sha256)
    subject: Subject = resolve_name(kind.maker)(
        SubjectRequest(options, file, calibration)
    )
    return subject


def validate_options(options: SubjectOptions) -> None:
    """Raise UserError if an option is not possible."""
    parse_subject(options.subject)
    if options.n_neurons < 1:
        raise UserError(f"{options.n_neurons} neurons are too few; give 1 or more")
    if options.mouse_seed < 0:
        raise UserError(f"the seed {options.mouse_seed} is negative; give 0 or more")
    spread = options.spread
    if spread is not None and not (math.isfinite(spread) and spread > 0):
        raise UserError(f"spread = {spread:g} is not possible; give more than 0")
    share = options.direction_selective
    if share is not None and not 0 <= share <= 1:
        raise UserError(f"direction-selective = {share:g}; give a share from 0 to 1")
    if options.noise not in NOISE_NAMES:
        raise UserError(
            f"noise '{options.noise}' is not known; choose one of: "
            f"{', '.join(NOISE_NAMES)}"
        )


def parse_subject(text: str) -> tuple[SubjectKind, Path | None]:
    """Return the kind and the file of a subject such as sensorium:FILE; UserError."""
    name, _, file = text.partition(":")
    for kind in SUBJECTS:
        if kind.name != name:
            continue
        if bool(file) != kind.needs_file:
            needed = "needs a file" if kind.needs_file else "takes no file"
            raise UserError(f"subject '{text}' {needed}; write {kind.example}")
        return kind, Path(file) if file else None
    raise UserError(
        f"subject '{text}' is not known; choose one of: {describe_subjects()}"
    )


def choose_subject(options: SubjectOptions, named: str | None) -> SubjectOptions:
    """Return the options of an encoder's neurons, with the file that the user names.

    named: the subject that the user asks for; None = as in `options`. Raises UserError
    if it is another kind of neurons than the encoder's.
    """
    if named is None:
        return options
    kind, _ = parse_subject(named)
    if kind != parse_subject(options.subject)[0]:
        raise UserError(
            f"the encoder was trained on subject {options.subject}, not on {named}; "
            f"train one with `rtrecon train --subject {named}` and give it as --encoder"
        )
    return replace(options, subject=named)


def pin_subject_file(options: SubjectOptions) -> SubjectOptions:
    """Return the options with the hash of the subject's file.

    An encoder stores them, so that another file is refused later. The path becomes
    absolute. Raises UserError if the file cannot be read.
    """
    kind, file = parse_subject(options.subject)
    if file is None:
        return options
    return replace(
        options, subject=f"{kind.name}:{file.resolve()}", file_sha256=_hash_file(file)
    )


def describe_subjects() -> str:
    """Return the subjects as part of a sentence."""
    return ", ".join(kind.example for kind in SUBJECTS)


def render_subject_table() -> str:
    """Return the subjects as a Markdown table, for the documentation."""
    rows = [f"| `{kind.example}` | {kind.description} |" for kind in SUBJECTS]
    return "\n".join(["| `--subject` | The neurons |", "|---|---|", *rows, ""])


def _require_same_file(file: Path, sha256: str) -> None:
    if _hash_file(file) != sha256:
        raise UserError(
            f"{file} is not the file whose neurons the encoder was trained on; give "
            "that one, or train an encoder of these neurons"
        )


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"the neurons' file {file} cannot be read: {error.strerror}; give its path "
            "with --subject"
        ) from None
