"""Replays a Sensorium 2023 folder as a live session of recorded firing rates.

Trials are sent one after the other at 30 Hz, each with its movie and behavior, in the
folder's order, which is not the order in which they were recorded. What the mouse saw
between trials is unknown: between two trials the session's time advances by half a
second without data, which is longer than the memory of any encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.layout import RATE_HZ, RESPONSE_UNITS
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.client import (
    DAEMON_TIMEOUT_S,
    QUEUE_TIMEOUT_S,
    FrameCountCallback,
    NoticeCallback,
    Pacing,
    ReplayClient,
    ReplayError,
    ReplayReport,
    ignore_notice,
    require_valid_pace,
    send_paced,
)
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.senders import SessionSender

GAP_FRAMES = 15  # between trials; more than an encoder's memory
_EXCLUDED_TIERS = ("train", "none")  # sent only if asked for


@dataclass(frozen=True)
class TrialSelection:
    """Trials to send: of a tier, or by number; else all with responses but `train`."""

    tier: str | None = None
    trials: tuple[int, ...] = ()

    def read_trials(
        self, folder: SensoriumFolder
    ) -> Iterator[tuple[int, SensoriumTrial]]:
        """Read the trials, each with its number; UserError if there are none."""
        has_trials = False
        for number in self._select_numbers(folder):
            trial = folder.read_trial(number)
            if self.trials or self.tier or trial.responses is not None:
                has_trials = True
                yield number, trial
        if not has_trials:
            tiers = ", ".join(sorted(set(folder.tiers.tolist())))
            raise UserError(
                f"{folder.path} has no trial {self._describe()}; it has trials of "
                f"tiers {tiers}: choose one"
            )

    def _select_numbers(self, folder: SensoriumFolder) -> list[int]:
        n_trials = len(folder.tiers)
        for number in self.trials:
            if not 0 <= number < n_trials:
                raise UserError(
                    f"{folder.path} has trials 0 to {n_trials - 1}, but no {number}"
                )
        if self.trials:
            return list(self.trials)
        if self.tier:
            return folder.list_trials(self.tier)
        return np.flatnonzero(~np.isin(folder.tiers, _EXCLUDED_TIERS)).tolist()

    def _describe(self) -> str:
        if self.tier:
            return f"of tier '{self.tier}'"
        return f"with responses but of tiers {' and '.join(_EXCLUDED_TIERS)}"


@dataclass(frozen=True)
class TrialFrame:
    """One frame of a trial, at `t_s` since the first frame of all trials.

    index: in the trial. image: (36, 64) uint8. behavior: measured values by name.
    rates: (n,) float32, NaN if the data set withholds them.
    """

    t_s: float
    clip: str
    index: int
    image: Array
    behavior: dict[str, float]
    rates: Array


def replay_sensorium(
    path: Path,
    address: str,
    *,
    selection: TrialSelection | None = None,
    speed: float | None = 1.0,
    loops: int | None = 1,
    keys: ClientKeys | None = None,
    control: str | None = None,
    notify: NoticeCallback = ignore_notice,
    on_progress: FrameCountCallback | None = None,
) -> ReplayReport:
    """Send trials of a folder to the daemon at `address`, as one session.

    selection: which trials. speed: frames leave at their times divided by it; None: as
    soon as they are taken. No frame is dropped: if the daemon is slower, the rest is
    late. loops: how often the trials are sent, None = without end. control: address at
    which the daemon says whether it takes the session. notify: called with a sentence
    if that is not known. Raises UserError for a folder that cannot be read,
    `ReplayError` if no daemon takes the session.
    """
    require_valid_pace(speed, loops)
    folder = SensoriumFolder(path)
    client = ReplayClient(
        address, keys, DAEMON_TIMEOUT_S, QUEUE_TIMEOUT_S, control, notify
    )
    with client.open_session(**make_start_fields(folder)) as sender:
        return send_paced(
            iterate_trial_frames(folder, selection or TrialSelection(), loops),
            Pacing(lambda frame: frame.t_s, speed),
            lambda frame: _send_trial_frame(sender, frame),
            sender,
            on_progress,
        )


def make_start_fields(folder: SensoriumFolder) -> dict[str, object]:
    """Return the arguments of `SessionSender` for the session."""
    return {
        "source": f"replay of {folder.name}",
        "rate_hz": RATE_HZ,
        "unit_ids": folder.unit_ids.tolist(),
        "rate_unit": RESPONSE_UNITS,
        "meta": {"sensorium": folder.name},
    }


def iterate_trial_frames(
    folder: SensoriumFolder, selection: TrialSelection, loops: int | None
) -> Iterator[TrialFrame]:
    """Yield the frames of all trials; times continue from one loop to the next."""
    first_frame = 0  # of the trial, since the session's first frame
    for _ in count() if loops is None else range(loops):
        for number, trial in selection.read_trials(folder):
            images = np.rint(trial.movie).clip(0, 255).astype(np.uint8)
            rates = trial.responses
            if rates is None:
                rates = np.full((len(trial), len(folder.unit_ids)), np.nan, np.float32)
            for index in range(len(trial)):
                yield TrialFrame(
                    t_s=(first_frame + index) / RATE_HZ,
                    clip=f"trial {number}",
                    index=index,
                    image=images[index],
                    behavior=_select_measured(trial.behavior[index]),
                    rates=rates[index],
                )
            first_frame += len(trial) + GAP_FRAMES


def _select_measured(values: Array) -> dict[str, float]:
    named = zip(BEHAVIOR, values.tolist(), strict=True)
    return {name: value for name, value in named if np.isfinite(value)}


def _send_trial_frame(sender: SessionSender, frame: TrialFrame) -> None:
    """Send the behavior and stimulus of a frame, then the frame."""
    is_sent = (
        sender.send_behavior(frame.t_s, **frame.behavior)
        and sender.send_stimulus(frame.image, frame.clip, frame.index, frame.t_s)
        and sender.send_frame(frame.rates[None], sender.n_sent, frame.t_s)
    )
    if not is_sent:
        raise ReplayError(
            f"the daemon took no message for {sender.queue_timeout_s:g} s, at frame "
            f"{frame.index} of {frame.clip}; is it still running?"
        )
