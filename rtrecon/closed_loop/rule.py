"""When a rule fires: after its condition has held, and not again too soon."""

from __future__ import annotations

import math
from enum import Enum

from rtrecon.closed_loop.condition import Condition, parse_condition
from rtrecon.config import RuleSettings
from rtrecon.core.errors import UserError
from rtrecon.core.frame_intervals import extend_timeout

# After this time without a value, the condition has to begin to hold anew. Quality is
# published twice a second, health once.
_MAX_SILENCE_S = 3.0
_MAX_SILENT_INTERVALS = 3.0  # between two values that come with frames of a time-lapse


class RuleChange(Enum):
    """What happened to a rule; the value is the name of its event."""

    FIRED = "rule_fired"
    RELEASED = "rule_released"


class Rule:
    """One rule in the course of a session; time is an argument.

    The rule fires when its condition has held for `for_s`. It fires again only after
    its value was back at `until` (it is released) and `refractory_s` are over. An
    unknown value (NaN) neither meets the condition nor releases the rule. rate_hz: of
    the session's frames; values that come with frames may be silent for longer.
    """

    def __init__(self, settings: RuleSettings) -> None:
        self.settings = settings
        self.condition = _parse_condition_of(settings)
        self.rate_hz = math.inf
        self.start_session()

    def start_session(self) -> None:
        """Forget the session before."""
        self._is_active = False
        self._met_since_s: float | None = None
        self._last_value_s = self._fired_s = -math.inf

    def update(self, value: float, t_s: float) -> RuleChange | None:
        """Take the newest value, of time `t_s`; return what happened to the rule."""
        silence_s = extend_timeout(_MAX_SILENCE_S, self.rate_hz, _MAX_SILENT_INTERVALS)
        if t_s - self._last_value_s > silence_s:
            self._met_since_s = None
        self._last_value_s = t_s
        if self._is_active:
            return self._release_if_back(value)
        if not self.condition.is_met(value):
            self._met_since_s = None
            return None
        if self._met_since_s is None:
            self._met_since_s = t_s
        return self._fire_if_due(t_s)

    def _fire_if_due(self, t_s: float) -> RuleChange | None:
        assert self._met_since_s is not None
        has_held = t_s - self._met_since_s >= self.settings.for_s
        if not has_held or t_s - self._fired_s < self.settings.refractory_s:
            return None
        self._is_active, self._fired_s, self._met_since_s = True, t_s, None
        return RuleChange.FIRED

    def _release_if_back(self, value: float) -> RuleChange | None:
        if math.isnan(value) or self.condition.is_met(value, self.settings.until):
            return None
        self._is_active = False
        return RuleChange.RELEASED


def _parse_condition_of(settings: RuleSettings) -> Condition:
    """Read the rule's condition; raise `UserError` if `until` is on the wrong side."""
    condition, until = parse_condition(settings.when), settings.until
    if until is None:
        return condition
    is_below = condition.comparison.startswith("<")
    if (until < condition.level) if is_below else (until > condition.level):
        side = "below" if is_below else "above"
        raise UserError(
            f"until = {until:g} lies {side} the level of '{settings.when}', so the "
            "rule would fire again at once; choose a level on the other side"
        )
    return condition
