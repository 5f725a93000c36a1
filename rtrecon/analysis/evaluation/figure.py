"""A figure: mean and spread over clips, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figure:
    """Mean and s.d. over so many clips; None where it cannot be told, and why."""

    mean: float | None
    sd: float | None
    clips: int
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for json.dumps."""
        return asdict(self)

    def text(self) -> str:
        """Return it for a reader."""
        if self.mean is None:
            return "not known"
        return f"{self.mean:.3f} ± {self.sd:.3f} ({self.clips})"


Row = dict[str, Figure]  # by name of the figure
Table = dict[str, Row]  # by what was varied


def figure(values: Sequence[float], why: str) -> Figure:
    """Return mean and s.d. of those that are finite; `why` is told where none is."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Figure(None, None, 0, why)
    mean, sd = round(float(known.mean()), 4), round(float(known.std()), 4)
    return Figure(mean, sd, len(known))


def row(scores: Sequence[Mapping[str, float]], reasons: Mapping[str, str]) -> Row:
    """Return figures of clips' scores by name; reasons: why each may be missing."""
    return {
        name: figure([score.get(name, np.nan) for score in scores], why)
        for name, why in reasons.items()
    }
