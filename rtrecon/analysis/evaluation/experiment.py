"""What is asked of a session: how good, and what makes it better or worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtrecon.analysis.evaluation.figure import Row, Table, row
from rtrecon.analysis.evaluation.replay_runner import Bench, Way
from rtrecon.analysis.evaluation.scores import REASONS, Made, Scorer
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.compact import LAGS_FRAMES, STEPS_PER_HOP
from rtrecon.inversion.offline.target import Report

SHARES = (0.125, 0.25, 0.5, 1.0)  # of the neurons that are not held out
STEPS = (1, 2, 4, 8, STEPS_PER_HOP)
LIVE, NULL = "live", "null"  # rows of the table `quality`
_COMPARED = ("video_r", "frame_r", "contrast", "held_out_r")


@dataclass(frozen=True)
class Study:
    """One session under one encoder. `plain` is the reconstruction as it is."""

    bench: Bench
    scorer: Scorer
    clips: Sequence[Clip]
    plain: list[Made]
    report: Report

    @classmethod
    def of(
        cls, bench: Bench, scorer: Scorer, clips: Sequence[Clip], report: Report
    ) -> Study:
        """Return a study; reconstructs the clips."""
        way = Way("reconstructing", lags_frames=LAGS_FRAMES)
        return cls(bench, scorer, clips, bench.made(clips, way, report), report)

    def quality(self) -> Table:
        """Return every figure, and those of the null: neurons exchanged."""
        null = Way("null", change=self.bench.exchanged)
        return {
            LIVE: row([self.scorer.in_full(made) for made in self.plain], REASONS),
            NULL: self.compared(self.bench.made(self.clips, null, self.report)),
        }

    def lags(self) -> Table:
        """Return figures of the movie as it stood when its frames were so old."""
        rate_hz = self.clips[0].rate_hz
        table = {
            f"{1e3 * lag / rate_hz:.0f} ms": self.compared(
                [Made(m.clip, m.by_lag[lag], m.predicted) for m in self.plain],
                ("video_r", "frame_r", "contrast"),
            )
            for lag in LAGS_FRAMES
        }
        return {**table, "final": self.compared(self.plain)}

    def neurons(self) -> Table:
        """Return figures with so many of the neurons; the others leave the loss."""
        return {
            f"{share:.1%}": self._with(
                Way(f"{share:.1%} of the neurons", change=self.bench.only(share))
            )
            for share in SHARES[:-1]
        } | {f"{SHARES[-1]:.1%}": self.compared(self.plain)}

    def steps(self) -> Table:
        """Return figures with so many steps per hop."""
        return {
            str(n): self._with(Way(f"{n} steps per hop", n)) for n in STEPS[:-1]
        } | {str(STEPS[-1]): self.compared(self.plain)}

    def encoders(self, others: Sequence[Checkpoint]) -> Table:
        """Return figures of the mean movie of the first 1, 2, ... encoders."""
        together, table = [self.plain], {"1": self.compared(self.plain)}
        for place, other in enumerate(others):
            bench = self.bench.with_encoder(other)
            way = Way(f"encoder {place + 2}")
            together.append(bench.made(self.clips, way, self.report))
            table[str(len(together))] = self.compared(_mean(together))
        return table

    def compared(self, made: Sequence[Made], names: Sequence[str] = _COMPARED) -> Row:
        """Return the figures of most interest of anything that was made."""
        reasons = {name: REASONS[name] for name in names}
        return row([self.scorer.scores(one) for one in made], reasons)

    def _with(self, way: Way) -> Row:
        return self.compared(self.bench.made(self.clips, way, self.report))


def _mean(together: Sequence[Sequence[Made]]) -> list[Made]:
    """Return the mean movie and prediction of several encoders, clip by clip."""
    return [
        Made(
            parts[0].clip,
            np.mean([part.movie for part in parts], 0),
            np.mean([part.predicted for part in parts], 0),
        )
        for parts in zip(*together, strict=True)
    ]
