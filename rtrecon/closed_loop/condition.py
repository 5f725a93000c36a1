"""The condition of a rule: a value, a comparison and a number; no code is executed.

The value is one of

- a field of a published message: `quality.activity_correlation < 0.1`,
  `field.shift_px[0] > 8`, `quality.visual_field_correlation_by_lag[0.17] < 0.2`,
  `health.daemon.rate_hz < 25`;
- the activity of neurons: `mean(activity) > 0.5`, `sum(activity[3, 8, 21]) > 2`, or
  `mean(left) > 0.4` with a group of [closed_loop.groups];
- the similarity of the live movie to a clip of [closed_loop.targets]:
  `similarity(grating) > 0.3`.
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
    r"\s*(?P<value>[^<>=]+?)\s*(?P<comparison>[<>]=?)\s*(?P<level>\S+)\s*"
)
_CALL = re.compile(r"(?P<function>mean|sum|similarity)\(\s*(?P<argument>[^()]+?)\s*\)")
_NEURON_IDS = re.compile(r"activity\[(\s*\d+\s*(?:,\s*\d+\s*)*)\]")
_FIELD_PATH = re.compile(r"[a-z_]+(\.\w+|\[[^\[\]]+\])+")
_PATH_STEP = re.compile(r"\.(\w+)|\[\s*([^\[\]]+?)\s*\]")

_EXAMPLES = (
    "write it like 'quality.activity_correlation < 0.1' or 'mean(activity[3, 8]) > 2'"
)


@dataclass(frozen=True)
class FieldPath:
    """A field of a published message: its topic, and the names that lead to it."""

    topic: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class GroupActivity:
    """The activity of neurons. `ids`: their ids, a group's name, or None = all."""

    total: Literal["mean", "sum"]
    ids: tuple[int, ...] | str | None


@dataclass(frozen=True)
class ClipSimilarity:
    """The similarity of the live movie to a clip, given by its name."""

    target: str


@dataclass(frozen=True)
class Condition:
    """A value, a comparison, and the level that the value is compared with."""

    value: FieldPath | GroupActivity | ClipSimilarity
    comparison: str
    level: float

    def is_met(self, value: float, level: float | None = None) -> bool:
        """Return whether a value meets the condition; NaN never does.

        level: replaces the condition's own level.
        """
        compare = _COMPARISONS[self.comparison]
        return compare(value, self.level if level is None else level)


def parse_condition(text: str) -> Condition:
    """Read a condition; raises `UserError` if the text is not one."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UserError(f"'{text}' is not a condition; {_EXAMPLES}")
    level = _parse_level(match["level"])
    return Condition(_parse_value(match["value"]), match["comparison"], level)


def _parse_level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise UserError(f"'{text}' is not a number to compare with; {_EXAMPLES}")
    return level


def _parse_value(text: str) -> FieldPath | GroupActivity | ClipSimilarity:
    if call := _CALL.fullmatch(text):
        if call["function"] == "similarity":
            return ClipSimilarity(call["argument"])
        total: Literal["mean", "sum"] = "mean" if call["function"] == "mean" else "sum"
        return GroupActivity(total, _parse_ids(call["argument"]))
    if _FIELD_PATH.fullmatch(text) is None:
        raise UserError(f"'{text}' is not a value that a rule can read; {_EXAMPLES}")
    topic = re.split(r"[.\[]", text, maxsplit=1)[0]
    steps = _PATH_STEP.findall(text[len(topic) :])
    return FieldPath(topic, tuple(name or key for name, key in steps))


def _parse_ids(text: str) -> tuple[int, ...] | str | None:
    if text == "activity":
        return None
    if "[" not in text:
        return text
    match = _NEURON_IDS.fullmatch(text)
    if match is None:
        raise UserError(f"'{text}': write the ids of neurons like activity[3, 8, 21]")
    return tuple(int(part) for part in match[1].split(","))
