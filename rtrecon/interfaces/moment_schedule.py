"""When a time-lapse images what: the moments of the plan, and those requested."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.interfaces.stage_positions import StagePosition


@dataclass(frozen=True)
class TimeLapsePlan:
    """What is imaged: every interval_s, at each position, in each channel.

    positions: none = where the stage is. channels: presets of the channel group, none =
    as it is set. on_request: presets that are imaged only if a rule asks for them.
    n_moments: None = until it is stopped.
    """

    interval_s: float
    positions: tuple[StagePosition, ...] = ()
    channels: tuple[str, ...] = ()
    channel_group: str = ""
    n_moments: int | None = None
    on_request: tuple[str, ...] = ()

    @property
    def all_channels(self) -> tuple[str, ...]:
        """Every preset that may be imaged; without presets, one without a name."""
        return (*(self.channels or ("",)), *self.on_request)

    @property
    def n_planes(self) -> int:
        """Number of stage positions, at least one."""
        return max(1, len(self.positions))


@dataclass(frozen=True)
class Moment:
    """What is imaged at once.

    due_s: since the time-lapse began. planes, channels: indices into the plan's
    positions and into `all_channels`. refocus: search for the sharpest plane first.
    """

    due_s: float
    planes: tuple[int, ...]
    channels: tuple[int, ...]
    refocus: bool = False
    is_planned: bool = True


class MomentSchedule:
    """The moments of a plan in order of time, with series that were requested."""

    def __init__(self, plan: TimeLapsePlan) -> None:
        self._plan = plan
        self._n_planned = 0  # moments of the plan that are over
        self._requested: list[Moment] = []

    @property
    def planned_channels(self) -> tuple[int, ...]:
        """Indices of the channels that are imaged at each moment of the plan."""
        return tuple(range(max(1, len(self._plan.channels))))

    def add_moments(self, moments: list[Moment]) -> None:
        """Add moments that were requested."""
        self._requested = sorted(
            [*self._requested, *moments], key=lambda moment: moment.due_s
        )

    def find_next(self) -> Moment | None:
        """Return the next moment; None if all moments of the plan are over."""
        plan = self._plan
        if self._n_planned == plan.n_moments:
            return None
        planes, channels = tuple(range(plan.n_planes)), self.planned_channels
        planned = Moment(self._n_planned * plan.interval_s, planes, channels)
        if self._requested and self._requested[0].due_s < planned.due_s:
            return self._requested[0]
        return planned

    def finish(self, moment: Moment) -> None:
        """Continue with the moment after this one, which `find_next` returned."""
        if moment.is_planned:
            self._n_planned += 1
        else:
            self._requested.remove(moment)
