"""How much an evaluation does: how many clips, and about how long that takes.

The unit of work is a pass: one step of the optimiser through one window. Every clip is
replayed hop by hop under each condition, with some passes per hop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rtrecon.analysis.evaluation.stimuli import N_STIMULI
from rtrecon.core.progress import format_duration
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP

NEURON_FRACTIONS = (0.125, 0.25, 0.5, 1.0)  # of the neurons that are not held out
STEP_COUNTS = (1, 2, 4, 8, STEPS_PER_HOP)
TIME_BUDGET_S = 600.0  # of an evaluation that is not asked to be thorough
MAX_CONTROL_CLIPS = 4  # of each unusual stimulus
CONTROL_CLIP_FRAMES = 150
_MIN_CLIPS = 2  # one clip has no spread, and no other clip to scramble frames with


@dataclass(frozen=True)
class EvaluationPlan:
    """Clips that are evaluated, and clips of each unusual stimulus (0: none)."""

    n_clips: int
    n_control_clips: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Workload:
    """What decides how long a plan takes.

    n_clips: all that were loaded. clip_frames, hop_frames: encoder frames of a clip and
    of a hop. n_encoders: of the ensemble. is_simulated: whether another mouse can be
    simulated, and unusual stimuli shown if it `has_pictures`. pass_s, frame_s: measured
    duration of a pass, and of imaging one simulated frame.
    """

    n_clips: int
    clip_frames: int
    hop_frames: int
    n_encoders: int
    with_controls: bool
    is_simulated: bool
    pass_s: float
    frame_s: float = 0.0
    has_pictures: bool = True

    def count_passes(self, plan: EvaluationPlan) -> int:
        """Return the passes of a plan."""
        n_steps = sum(self._list_steps_per_hop(plan))
        n_hops = self.clip_frames // self.hop_frames
        n_unusual_clips = N_STIMULI * plan.n_control_clips
        n_unusual_hops = n_unusual_clips * (self._unusual_frames // self.hop_frames)
        return plan.n_clips * n_hops * n_steps + n_unusual_hops * STEPS_PER_HOP

    def estimate_s(self, plan: EvaluationPlan) -> float:
        """Return about how many seconds a plan takes."""
        n_frames = 0
        if self.has_unusual_stimuli:
            n_frames = N_STIMULI * plan.n_control_clips * self._unusual_frames
        if self.has_another_mouse:
            n_frames += plan.n_clips * self.clip_frames
        return self.pass_s * self.count_passes(plan) + self.frame_s * n_frames

    @property
    def has_unusual_stimuli(self) -> bool:
        """Whether controls show other stimuli to the simulated mouse."""
        return self.has_another_mouse and self.has_pictures

    @property
    def has_another_mouse(self) -> bool:
        """Whether controls show the stimuli to another simulated mouse."""
        return self.with_controls and self.is_simulated

    def make_full_plan(self) -> EvaluationPlan:
        """Return the plan that evaluates everything."""
        return self._make_plan(self.n_clips)

    def choose_plan(self, budget_s: float = TIME_BUDGET_S) -> EvaluationPlan:
        """Return the largest plan that ends in time; of too large ones the smallest."""
        for n_clips in range(self.n_clips, _MIN_CLIPS, -1):
            plan = self._make_plan(n_clips)
            if self.estimate_s(plan) <= budget_s:
                return plan
        return self._make_plan(min(self.n_clips, _MIN_CLIPS))

    def describe(self, plan: EvaluationPlan, *, is_resumed: bool = False) -> str:
        """Return a sentence for the user, before the work starts."""
        full = self.make_full_plan()
        unusual = ""
        if plan.n_control_clips:
            unusual = f" and {plan.n_control_clips} of each control stimulus"
        clips = f"{plan.n_clips} of {full.n_clips} clips{unusual}"
        if is_resumed:
            return f"the interrupted evaluation of {clips} is continued"
        duration = format_duration(self.estimate_s(plan))
        sentence = f"evaluating {clips} takes about {duration} on this computer"
        if plan == full:
            return sentence
        return (
            f"{sentence}; --thorough evaluates all in about "
            f"{format_duration(self.estimate_s(full))}"
        )

    @property
    def _unusual_frames(self) -> int:
        return min(CONTROL_CLIP_FRAMES, self.clip_frames)

    def _make_plan(self, n_clips: int) -> EvaluationPlan:
        n_control_clips = 0
        if self.has_unusual_stimuli:
            share = MAX_CONTROL_CLIPS * n_clips / self.n_clips
            n_control_clips = min(n_clips, max(1, round(share)))
        return EvaluationPlan(n_clips, n_control_clips)

    def _list_steps_per_hop(self, plan: EvaluationPlan) -> Iterator[int]:
        """Yield the steps per hop of each condition that replays all clips."""
        yield from (STEPS_PER_HOP, STEPS_PER_HOP)  # the reconstruction and the null
        yield from [STEPS_PER_HOP] * (len(NEURON_FRACTIONS) - 1)
        yield from STEP_COUNTS[:-1]
        yield from [STEPS_PER_HOP] * (self.n_encoders - 1)
        if self.with_controls:  # frames scrambled within, and between clips
            yield from [STEPS_PER_HOP] * (2 if plan.n_clips > 1 else 1)
        if self.has_another_mouse:
            yield STEPS_PER_HOP
