"""Decides on requests of rules: which are carried out, and how much light they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rtrecon.core.errors import UserError
from rtrecon.core.frame_intervals import format_interval
from rtrecon.interfaces.focus_search import N_FOCUS_IMAGES
from rtrecon.interfaces.moment_schedule import Moment, MomentSchedule, TimeLapsePlan
from rtrecon.protocol import messages

MAX_MOMENTS = 10_000  # of one request


class RequestReview:
    """Adds what rules ask for to a schedule, as far as the light budget allows.

    Light is counted at each stage position: images beyond the plan, times the exposure.
    `n_accepted`, `n_refused`: number of requests.
    """

    def __init__(self, plan: TimeLapsePlan, can_focus: bool) -> None:
        self.n_accepted = self.n_refused = 0
        self._plan, self._can_focus = plan, can_focus
        self._light_s = [0.0] * plan.n_planes  # that requests have added
        self._accepted_s: dict[str, float] = {}  # by output: when the last one was
        self._names = [position.name for position in plan.positions]

    def decide(
        self,
        request: messages.AcquisitionRequest,
        schedule: MomentSchedule,
        clock: tuple[float, float],
    ) -> str:
        """Add the request to the schedule or refuse it; return a sentence on that.

        clock: time since the time-lapse began, and exposure of one image, in s.
        """
        t_s, exposure_s = clock
        title = f"request '{request.output}'"
        try:
            moments = list(self._make_moments(request, schedule, t_s))
            self._require_rest(request, t_s)
            light_s = self._charge(request, moments, exposure_s)
        except UserError as error:
            self.n_refused += 1
            return f"{title} is refused ({self.n_refused} so far): {error}"
        self.n_accepted += 1
        self._accepted_s[request.output] = t_s
        schedule.add_moments(moments)
        left_s = request.light_budget_s - max(self._light_s)
        return (
            f"{title} is carried out: it adds {light_s:.3g} s of light, {left_s:.3g} s "
            "of its budget are left"
        )

    def _make_moments(
        self,
        request: messages.AcquisitionRequest,
        schedule: MomentSchedule,
        t_s: float,
    ) -> Iterator[Moment]:
        planes, channels = self._find_planes(request), schedule.planned_channels
        if request.channel:
            channels = tuple(sorted({*channels, self._find_channel(request.channel)}))
        if request.refocus:
            if not self._can_focus:
                raise UserError("Micro-Manager's configuration has no focus device")
            yield Moment(t_s, planes, (), refocus=True, is_planned=False)
            if not (request.channel or request.position or request.interval_s):
                return
        interval_s, n_moments = request.interval_s or 0.0, 1
        if request.interval_s and request.duration_s:
            n_moments = math.floor(request.duration_s / request.interval_s + 1e-9)
        if n_moments > MAX_MOMENTS:
            raise UserError(
                f"it asks for {n_moments} moments; {MAX_MOMENTS} are possible"
            )
        for k in range(n_moments):
            yield Moment(t_s + k * interval_s, planes, channels, is_planned=False)

    def _find_planes(self, request: messages.AcquisitionRequest) -> tuple[int, ...]:
        if not request.position:
            return tuple(range(self._plan.n_planes))
        if request.position not in self._names:
            raise UserError(
                f"there is no position '{request.position}'; positions: "
                f"{', '.join(self._names) or 'none (give --positions)'}"
            )
        return (self._names.index(request.position),)

    def _find_channel(self, name: str) -> int:
        channels = self._plan.all_channels
        if name not in channels:
            raise UserError(
                f"channel '{name}' is neither in --channels nor in --on-request"
            )
        return channels.index(name)

    def _require_rest(self, request: messages.AcquisitionRequest, t_s: float) -> None:
        """Raise `UserError` for a request that is too early."""
        if not (request.refractory_s > 0 and request.light_budget_s > 0):
            raise UserError("it has no refractory time or no light budget")
        since_s = t_s - self._accepted_s.get(request.output, -math.inf)
        if since_s < request.refractory_s:
            raise UserError(
                f"the last one was {format_interval(since_s)} ago, less than its "
                f"refractory time of {format_interval(request.refractory_s)}"
            )

    def _charge(
        self,
        request: messages.AcquisitionRequest,
        moments: list[Moment],
        exposure_s: float,
    ) -> float:
        """Count the light of these moments; return it for one position, in s."""
        n_images = sum(
            N_FOCUS_IMAGES if moment.refocus else len(moment.channels)
            for moment in moments
        )
        light_s, planes = n_images * exposure_s, moments[0].planes
        left_s = request.light_budget_s - max(self._light_s[p] for p in planes)
        if light_s > left_s:
            raise UserError(
                f"it needs {light_s:.3g} s of light, and {max(left_s, 0.0):.3g} s of "
                f"the budget of {request.light_budget_s:.3g} s are left"
            )
        for plane in planes:
            self._light_s[plane] += light_s
        return light_s
