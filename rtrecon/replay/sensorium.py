"""A Sensorium 2023 folder as a live session: its responses are the rates of units.

Trials come one after the other at 30 Hz, each with its movie and its behaviour, in the
folder's order, which is not the order in which they were recorded. What the mouse saw
between them is not known: half a second of the session's time passes in which nothing
is told, longer than any answer remembers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.layout import RATE_HZ, UNITS
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.client import Outlet, ReplayError, ReplayReport, paced, require_pace
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.sender import Sender

GAP_FRAMES = 15  # between trials; more than an encoder's memory
DAEMON_TIMEOUT_S = 30.0  # for a daemon to be there, and to take what is queued
TAKE_TIMEOUT_S = 120.0  # for one that waits for its inverter to take the next message
_UNUSUAL = ("train", "none")  # tiers that are sent only when asked for

Progress = Callable[[int, int | None], None]  # frames done, of how many


@dataclass(frozen=True)
class Choice:
    """Trials of a tier, or by number; else all with responses but those to train on."""

    tier: str | None = None
    trials: tuple[int, ...] = ()

    def of(self, folder: Folder) -> Iterator[tuple[int, Trial]]:
        """Read the trials, each with its number; UserError if there are none."""
        found = False
        for number in self._numbers(folder):
            trial = folder.trial(number)
            if self.trials or self.tier or trial.responses is not None:
                found = True
                yield number, trial
        if not found:
            raise UserError(
                f"{folder.path} has no trial {self._words()}; it has trials of tiers "
                f"{', '.join(sorted(set(folder.tiers.tolist())))}: choose one"
            )

    def _numbers(self, folder: Folder) -> list[int]:
        n_trials = len(folder.tiers)
        for number in self.trials:
            if not 0 <= number < n_trials:
                raise UserError(
                    f"{folder.path} has trials 0 to {n_trials - 1}, but no {number}"
                )
        if self.trials:
            return list(self.trials)
        if self.tier:
            return folder.tier(self.tier)
        return np.flatnonzero(~np.isin(folder.tiers, _UNUSUAL)).tolist()

    def _words(self) -> str:
        if self.tier:
            return f"of tier '{self.tier}'"
        return f"with responses but of tiers {' and '.join(_UNUSUAL)}"


@dataclass(frozen=True)
class Moment:
    """One frame of a trial, at `t_s` since the first: all that is told of it.

    image: (36, 64) uint8. behavior: by name, what was measured of it. rates: (n,)
    float32, NaN where they are withheld.
    """

    t_s: float
    clip: str
    index: int
    image: Array
    behavior: dict[str, float]
    rates: Array


def replay_folder(
    path: Path,
    address: str,
    *,
    choice: Choice | None = None,
    speed: float | None = 1.0,
    loops: int | None = 1,
    keys: ClientKeys | None = None,
    on_progress: Progress | None = None,
) -> ReplayReport:
    """Send trials of a folder to the daemon at `address`, as one session.

    Frames leave at their times divided by `speed`, or as soon as they are taken with
    None; none is dropped: a daemon that is slower than that makes the rest late.
    `loops` is how often the trials are sent, None for ever. Raises UserError for a
    folder that cannot be read, `ReplayError` where no daemon takes what is sent.
    """
    require_pace(speed, loops)
    folder, tell = Folder(path), on_progress or (lambda _done, _total: None)
    outlet = Outlet(address, keys, DAEMON_TIMEOUT_S, TAKE_TIMEOUT_S)
    with outlet.session(**start_fields(folder)) as sender:
        began_s = time.monotonic()
        all_of_it = moments(folder, choice or Choice(), loops)
        for moment in paced(all_of_it, lambda moment: moment.t_s, speed):
            _send(sender, moment)
            tell(sender.sent, None)
        return ReplayReport(sender.sent, sender.dropped, time.monotonic() - began_s)


def start_fields(folder: Folder) -> dict[str, object]:
    """Return what the session's first message says of it."""
    ids = folder.unit_ids.tolist()
    return {
        "source": f"replay of {folder.name}",
        "rate_hz": RATE_HZ,
        "shape": (1, len(ids)),
        "dtype": "float32",
        "units": ids,
        "rates_in": UNITS,
        "meta": {"sensorium": folder.name},
    }


def moments(folder: Folder, choice: Choice, loops: int | None) -> Iterator[Moment]:
    """Yield the frames of all trials; times grow on from one pass to the next."""
    first = 0  # of a trial, in frames since the session's first
    for _ in count() if loops is None else range(loops):
        for number, trial in choice.of(folder):
            images = np.rint(trial.movie).clip(0, 255).astype(np.uint8)
            rates = trial.responses
            if rates is None:
                rates = np.full((len(trial), len(folder.unit_ids)), np.nan, np.float32)
            for index in range(len(trial)):
                yield Moment(
                    t_s=(first + index) / RATE_HZ,
                    clip=f"trial {number}",
                    index=index,
                    image=images[index],
                    behavior=_measured(trial.behavior[index]),
                    rates=rates[index],
                )
            first += len(trial) + GAP_FRAMES


def _measured(values: Array) -> dict[str, float]:
    told = zip(BEHAVIOR, values.tolist(), strict=True)
    return {name: value for name, value in told if np.isfinite(value)}


def _send(sender: Sender, moment: Moment) -> None:
    """Send what belongs to a frame, then the frame."""
    taken = (
        sender.behavior(moment.t_s, **moment.behavior)
        and sender.stimulus(moment.image, moment.clip, moment.index, moment.t_s)
        and sender.frame(moment.rates[None], sender.sent, moment.t_s)
    )
    if not taken:
        raise ReplayError(
            f"the daemon took no message for {sender.wait_s:g} s, at frame "
            f"{moment.index} of {moment.clip}; is it still running?"
        )
