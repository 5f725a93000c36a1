"""Tries closed-loop rules on a recorded session: how often would each have fired?"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon import config
from rtrecon.closed_loop.readings import ActivityReading
from rtrecon.closed_loop.rule import RuleChange
from rtrecon.closed_loop.rules import BoundRule, bind_rules
from rtrecon.config import ClosedLoopSettings, RuleSettings
from rtrecon.core.errors import UserError
from rtrecon.replay.published_messages import find_start_s, iterate_messages
from rtrecon.session.session import Session

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


@dataclass
class RuleTrial:
    """What a rule would have done in a session.

    fired_s: when it would have fired, in s since the session's first frame. values:
    what it read, NaN where unknown. missing_ids: neurons that the session lacks; the
    rule is then off.
    """

    rule: RuleSettings
    fired_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    missing_ids: list[int] = field(default_factory=list)

    @property
    def percentiles(self) -> dict[int, float]:
        """Percentiles of the values that are known; empty if none is."""
        known = [value for value in self.values if not math.isnan(value)]
        if not known:
            return {}
        found = np.percentile(known, PERCENTILES).tolist()
        return dict(zip(PERCENTILES, found, strict=True))

    def describe(self) -> str:
        """Return two lines: how often the rule would have fired, and its values."""
        return f"{self.rule.name} ({self.rule.when}): {self._describe_firing()}"

    def _describe_firing(self) -> str:
        if self.missing_ids:
            return f"off, because the session has no neurons {self.missing_ids[:9]}"
        if not self.percentiles:
            return "would never have fired; the session has no values for it"
        times = {0: "never have fired", 1: "have fired once"}.get(
            len(self.fired_s), f"have fired {len(self.fired_s)} times"
        )
        first = f" (first at {self.fired_s[0]:.1f} s)" if self.fired_s else ""
        return f"would {times}{first}\n{self._describe_values()}"

    def _describe_values(self) -> str:
        spread = ", ".join(
            f"{percent} %: {value:.4g}" for percent, value in self.percentiles.items()
        )
        n_unknown = sum(map(math.isnan, self.values))
        return (
            f"  percentiles of its {len(self.values)} values: {spread}; {n_unknown} "
            "unknown"
        )


def try_rules(folder: Path, settings_file: Path | None = None) -> list[RuleTrial]:
    """Try the rules of a settings file, by default those of the session.

    No output is switched. Raises UserError for a mistake in a rule, or if there is
    none.
    """
    session = Session(folder)
    if settings_file is None:
        settings = config.parse(json.dumps(session.about.settings))
    else:
        settings = config.load(settings_file)
    bound_rules = bind_rules(
        _remove_outputs(settings.closed_loop), session.about.stimulus_space
    )
    if not bound_rules:
        raise UserError(
            f"{settings_file or 'the settings of the session'} has no rules; write "
            "them under [[closed_loop.rules]] into a file, and give it with --settings"
        )
    return _run_rules(session, bound_rules)


def _remove_outputs(settings: ClosedLoopSettings) -> ClosedLoopSettings:
    rules = [rule.model_copy(update={"outputs": []}) for rule in settings.rules]
    no_outputs: dict[str, dict[str, Any]] = {
        "serial": {},
        "lsl": {},
        "nidaq": {},
        "python": {},
        "micromanager": {},
    }
    return settings.model_copy(update={"rules": rules, **no_outputs})


def _run_rules(session: Session, bound_rules: list[BoundRule]) -> list[RuleTrial]:
    trials = [RuleTrial(bound.rule.settings) for bound in bound_rules]
    by_topic: dict[str, list[tuple[BoundRule, RuleTrial]]] = defaultdict(list)
    for bound, trial in zip(bound_rules, trials, strict=True):
        bound.rule.rate_hz = session.about.rate_hz
        if isinstance(bound.reading, ActivityReading):
            trial.missing_ids = bound.reading.find_neurons(session.about.neuron_ids)
        by_topic[bound.reading.topic].append((bound, trial))
    start_s = find_start_s(session)
    for topic, rules in by_topic.items():
        for message, payload in iterate_messages(session, topic):
            for bound, trial in rules:
                value = bound.reading.read(message, payload)
                if value is None:
                    continue
                trial.values.append(value)
                if bound.rule.update(value, message.t) is RuleChange.FIRED:
                    trial.fired_s.append(message.t - start_s)
    return trials
