"""What a rule says, taken apart: a value, a comparison, a number; nothing is run.

A published field (`quality.activity_correlation < 0.1`, `field.shift_px[0] > 8`,
`quality.pixel_correlation_by_lag[0.17] < 0.2`, `health.front.rate_hz < 25`), neurons
(`mean(activity) > 0.5`, `sum(activity[3, 8, 21]) > 2`, `mean(left) > 0.4` for a group
of [react.groups]), or `similarity(grating) > 0.3` for a clip of [react.targets].
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rtrecon.core.errors import UserError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONDITION = re.compile(
    r"\s*(?P<value>[^<>=]+?)\s*(?P<sign>[<>]=?)\s*(?P<level>\S+)\s*"
)
_CALL = re.compile(r"(?P<what>mean|sum|similarity)\(\s*(?P<of>[^()]+?)\s*\)")
_IDS = re.compile(r"activity\[(\s*\d+\s*(?:,\s*\d+\s*)*)\]")
_PATH = re.compile(r"[a-z_]+(\.\w+|\[[^\[\]]+\])+")
_STEP = re.compile(r"\.(\w+)|\[\s*([^\[\]]+?)\s*\]")

HOW = "write it like 'quality.activity_correlation < 0.1' or 'mean(activity[3, 8]) > 2'"


@dataclass(frozen=True)
class Path:
    """A field of a published message: its topic, and the names that lead to it."""

    topic: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The activity of some neurons, or of all: `ids` is None, or a group's name."""

    total: Literal["mean", "sum"]
    ids: tuple[int, ...] | str | None


@dataclass(frozen=True)
class Similarity:
    """How alike the live movie is to a clip, by the clip's name."""

    target: str


@dataclass(frozen=True)
class Condition:
    """A value, and where it has to lie."""

    value: Path | Group | Similarity
    sign: str
    level: float

    def holds(self, value: float, level: float | None = None) -> bool:
        """Tell whether a value lies there, of this level or another; NaN never."""
        return _COMPARISONS[self.sign](value, self.level if level is None else level)


def parse(text: str) -> Condition:
    """Read a condition; raises `UserError` with a sentence."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UserError(f"'{text}' is no condition; {HOW}")
    return Condition(_value(found["value"]), found["sign"], _level(found["level"]))


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise UserError(f"'{text}' is no number to compare with; {HOW}")
    return level


def _value(text: str) -> Path | Group | Similarity:
    if call := _CALL.fullmatch(text):
        if call["what"] == "similarity":
            return Similarity(call["of"])
        return Group("mean" if call["what"] == "mean" else "sum", _ids(call["of"]))
    if _PATH.fullmatch(text) is None:
        raise UserError(f"'{text}' is nothing that a rule can look at; {HOW}")
    topic = re.split(r"[.\[]", text, maxsplit=1)[0]
    steps = _STEP.findall(text[len(topic) :])
    return Path(topic, tuple(name or key for name, key in steps))


def _ids(text: str) -> tuple[int, ...] | str | None:
    if text == "activity":
        return None
    if "[" not in text:
        return text
    found = _IDS.fullmatch(text)
    if found is None:
        raise UserError(f"'{text}': write neurons' ids like activity[3, 8, 21]")
    return tuple(int(part) for part in found[1].split(","))
