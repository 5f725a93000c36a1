"""When a rule fires: held long enough, back in between, and not again too soon."""

from __future__ import annotations

import math
from enum import Enum

from rtrecon.closed_loop.condition import Condition, parse
from rtrecon.config import RuleSettings
from rtrecon.core.errors import UserError

# Of nothing heard, after which what was held before no longer counts as held. Quality
# comes twice a second, health once.
_HOLE_S = 3.0


class Change(Enum):
    """What became of a rule; the name of its event."""

    FIRED = "react"
    RELEASED = "release"


class Rule:
    """One rule as it goes through a session; the time is an argument.

    It fires when its condition has held for `for_s`, and again only after its value
    was back at `until` and `refractory_s` are over. A value that is not known (NaN) is
    no reason for anything: it neither holds nor is it back.
    """

    def __init__(self, settings: RuleSettings) -> None:
        self.settings = settings
        self.condition = _condition(settings)
        self.begin()

    def begin(self) -> None:
        """Begin a session."""
        self._active = False
        self._held_since_s: float | None = None
        self._heard_s = self._fired_s = -math.inf

    def judge(self, value: float, t_s: float) -> Change | None:
        """Take the newest value, of time `t_s`; return what became of the rule."""
        if t_s - self._heard_s > _HOLE_S:
            self._held_since_s = None
        self._heard_s = t_s
        if self._active:
            return self._release(value)
        if not self.condition.holds(value):
            self._held_since_s = None
            return None
        if self._held_since_s is None:
            self._held_since_s = t_s
        return self._fire(t_s)

    def _fire(self, t_s: float) -> Change | None:
        assert self._held_since_s is not None
        held = t_s - self._held_since_s >= self.settings.for_s
        if not held or t_s - self._fired_s < self.settings.refractory_s:
            return None
        self._active, self._fired_s, self._held_since_s = True, t_s, None
        return Change.FIRED

    def _release(self, value: float) -> Change | None:
        if math.isnan(value) or self.condition.holds(value, self.settings.until):
            return None
        self._active = False
        return Change.RELEASED


def _condition(settings: RuleSettings) -> Condition:
    condition, until = parse(settings.when), settings.until
    if until is None:
        return condition
    below = condition.sign.startswith("<")
    if (until < condition.level) if below else (until > condition.level):
        side = "below" if below else "above"
        raise UserError(
            f"until = {until:g} lies {side} the level of '{settings.when}', so it "
            "would fire again at once; put it on the other side"
        )
    return condition
