"""Mean and spread of a score over clips, or why it is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Statistic:
    """Mean and standard deviation over clips; None and the reason if missing."""

    mean: float | None
    sd: float | None
    n_clips: int
    missing_reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dict of JSON values."""
        return asdict(self)

    def format(self) -> str:
        """Return it as text."""
        if self.mean is None:
            return "not known"
        return f"{self.mean:.3f} ± {self.sd:.3f} ({self.n_clips})"


StatisticRow = dict[str, Statistic]  # by name of the score
StatisticTable = dict[str, StatisticRow]  # by name of the condition


def summarize_values(values: Sequence[float], missing_reason: str) -> Statistic:
    """Return mean and standard deviation of the finite values, or the reason."""
    finite = np.array([value for value in values if np.isfinite(value)])
    if not len(finite):
        return Statistic(None, None, 0, missing_reason)
    mean, sd = round(float(finite.mean()), 4), round(float(finite.std()), 4)
    return Statistic(mean, sd, len(finite))


def summarize_scores(
    scores: Sequence[Mapping[str, float]], reasons: Mapping[str, str]
) -> StatisticRow:
    """Summarize clips' scores by name; reasons: why each may be missing."""
    return {
        name: summarize_values([score.get(name, np.nan) for score in scores], why)
        for name, why in reasons.items()
    }
