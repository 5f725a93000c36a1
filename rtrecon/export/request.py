"""What to export and where to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """One session's folder, and the NWB file to be made.

    raw: the recording that the microscope saved, if it is not to be looked for where
    the sender said. subject, experiment: in place of those in the session's settings,
    by name, see `config.SubjectSettings` and `config.ExperimentSettings`.
    """

    session: Path
    out: Path
    raw: Path | None = None
    subject: dict[str, Any] | None = None
    experiment: dict[str, Any] | None = None
