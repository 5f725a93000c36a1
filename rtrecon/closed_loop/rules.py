"""The rules of the settings, checked as a whole, and what they set off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rtrecon.closed_loop.outputs import Lsl, NiDaq, Output, Serial
from rtrecon.closed_loop.readings import Reading, reading_of
from rtrecon.closed_loop.rule import Change, Rule
from rtrecon.closed_loop.user_callback import Function
from rtrecon.config import ReactSettings, RuleSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol import messages


@dataclass(frozen=True)
class Firing:
    """What became of a rule, and the value that made it."""

    settings: RuleSettings
    change: Change
    value: float

    @property
    def sentence(self) -> str:
        """What happened, for whoever reads events."""
        over = "" if self.change is Change.FIRED else " is over"
        own = self.settings
        return f"rule '{own.name}'{over}: {own.when}; it is {self.value:.4g}"


@dataclass(frozen=True)
class Watched:
    """A rule and what it looks at."""

    rule: Rule
    reading: Reading

    def judge(self, message: messages.Published, payload: Array) -> Firing | None:
        """Take a message of the reading's topic; return what came of it, if any."""
        value = self.reading.read(message, payload)
        if value is None:
            return None
        change = self.rule.judge(value, message.t)
        return Firing(self.rule.settings, change, value) if change else None


def read_rules(settings: ReactSettings) -> list[Watched]:
    """Return what [react] asks for; raises `UserError` with a sentence."""
    _require_once(_output_names(settings), "outputs")
    _require_once([rule.name for rule in settings.rules], "rules")
    outputs = list(outputs_of(settings))
    return [_watched(rule, settings, outputs) for rule in settings.rules]


def outputs_of(settings: ReactSettings) -> dict[str, Output]:
    """Return all outputs by name, not open yet; raises `UserError`."""
    outputs: dict[str, Output] = {}
    outputs |= {name: Serial(own) for name, own in settings.serial.items()}
    outputs |= {name: Lsl(own) for name, own in settings.lsl.items()}
    outputs |= {name: NiDaq(own) for name, own in settings.nidaq.items()}
    outputs |= {name: Function(own) for name, own in settings.python.items()}
    return outputs


def _output_names(settings: ReactSettings) -> list[str]:
    tables = (settings.serial, settings.lsl, settings.nidaq, settings.python)
    return [name for table in tables for name in table]


def _watched(rule: RuleSettings, settings: ReactSettings, known: list[str]) -> Watched:
    try:
        machine = Rule(rule)
        reading = reading_of(machine.condition.value, settings)
    except UserError as error:
        raise UserError(f"rule '{rule.name}': {error}") from None
    for name in rule.outputs:
        if name not in known:
            raise UserError(
                f"rule '{rule.name}': there is no output '{name}'; known: "
                f"{', '.join(known) or 'none so far'} (the event is told without one)"
            )
    return Watched(machine, reading)


def _require_once(names: Iterable[str], table: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f"two {table} of [react] are called '{twice[0]}'; give each its own name"
        )
