"""All rules of the settings with what they read, checked before the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rtrecon.closed_loop.outputs import LslOutput, NiDaqOutput, Output, SerialOutput
from rtrecon.closed_loop.readings import Reading, make_reading
from rtrecon.closed_loop.rule import Rule, RuleChange
from rtrecon.closed_loop.user_callback import UserCallback
from rtrecon.config import ClosedLoopSettings, RuleSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.stimulus_space.space import StimulusSpace


@dataclass(frozen=True)
class RuleEvent:
    """What happened to a rule, and the value that caused it."""

    settings: RuleSettings
    change: RuleChange
    value: float

    @property
    def sentence(self) -> str:
        """What happened, as a sentence for the event."""
        rule = self.settings
        verb = "fired" if self.change is RuleChange.FIRED else "is released"
        return f"rule '{rule.name}' {verb}: {rule.when}; the value is {self.value:.4g}"


@dataclass(frozen=True)
class BoundRule:
    """A rule and the value that it reads from messages."""

    rule: Rule
    reading: Reading

    def update(
        self, message: messages.PublishedMessage, payload: Array
    ) -> RuleEvent | None:
        """Read a message of the reading's topic; return what happened to the rule."""
        value = self.reading.read(message, payload)
        if value is None:
            return None
        change = self.rule.update(value, message.t)
        return RuleEvent(self.rule.settings, change, value) if change else None


def bind_rules(settings: ClosedLoopSettings, space: StimulusSpace) -> list[BoundRule]:
    """Return all rules of [closed_loop]; raises `UserError` for the first mistake.

    space: of the stimuli that clips are compared with.
    """
    _require_unique(_output_names(settings), "outputs")
    _require_unique([rule.name for rule in settings.rules], "rules")
    outputs = [*make_outputs(settings), *settings.micromanager]
    return [_bind_rule(rule, settings, outputs, space) for rule in settings.rules]


def make_outputs(settings: ClosedLoopSettings) -> dict[str, Output]:
    """Return all outputs by name, not yet open; raises `UserError`."""
    outputs: dict[str, Output] = {}
    outputs |= {name: SerialOutput(each) for name, each in settings.serial.items()}
    outputs |= {name: LslOutput(each) for name, each in settings.lsl.items()}
    outputs |= {name: NiDaqOutput(each) for name, each in settings.nidaq.items()}
    outputs |= {name: UserCallback(each) for name, each in settings.python.items()}
    return outputs


def make_requests(
    rule: RuleSettings, settings: ClosedLoopSettings
) -> list[messages.AcquisitionRequest]:
    """Return what a rule asks the program that acquires for, when it fires."""
    return [
        messages.AcquisitionRequest(
            output=name,
            refractory_s=rule.refractory_s,
            **settings.micromanager[name].model_dump(),
        )
        for name in rule.outputs
        if name in settings.micromanager
    ]


def _output_names(settings: ClosedLoopSettings) -> list[str]:
    tables: tuple[dict[str, Any], ...] = (
        settings.serial,
        settings.lsl,
        settings.nidaq,
        settings.python,
        settings.micromanager,
    )
    return [name for table in tables for name in table]


def _bind_rule(
    settings: RuleSettings,
    closed_loop: ClosedLoopSettings,
    outputs: list[str],
    space: StimulusSpace,
) -> BoundRule:
    try:
        rule = Rule(settings)
        reading = make_reading(rule.condition.value, closed_loop, space)
    except UserError as error:
        raise UserError(f"rule '{settings.name}': {error}") from None
    for name in settings.outputs:
        if name not in outputs:
            raise UserError(
                f"rule '{settings.name}': there is no output '{name}'; known: "
                f"{', '.join(outputs) or 'none'} (without outputs a rule still "
                "publishes its events)"
            )
    return BoundRule(rule, reading)


def _require_unique(names: Iterable[str], table: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"two {table} of [closed_loop] have the name '{repeated[0]}'; give each a "
            "name of its own"
        )
