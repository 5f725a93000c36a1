"""How far the live movie can be trusted, judged as it comes.

Held-out neurons need no stimulus: do they fire as the movie says they should? Where the
stimulus is known the movie is compared with it, at every age of its frames. The same is
asked of the null, an inversion of exchanged neurons.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.similarity import SMALLEST_VARIANCE, RunningCorrelation

WINDOW_FRAMES = 600  # judged at a time: twenty seconds of a 30 Hz encoder
_ENOUGH_FRAMES = 90  # fewer say nothing yet
_STIMULI = 300  # kept, by encoder frame


@dataclass(frozen=True)
class Verdict:
    """Correlations over the last seconds; None where there is nothing to tell.

    pixel_by_block: newest hop of the window first; its last entry is `pixel`.
    """

    activity: float | None
    null_activity: float | None
    pixel: float | None
    null_pixel: float | None
    pixel_by_block: list[float | None]


class RunningVideo:
    """Pearson r over all pixels of the newest `WINDOW_FRAMES` frames."""

    def __init__(self) -> None:
        self._sums = np.zeros((WINDOW_FRAMES, 6))
        self.count = 0

    def update(self, a: Array, b: Array) -> None:
        """Take one frame of each movie, any shape."""
        a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
        sums = len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b
        self._sums[self.count % WINDOW_FRAMES] = sums
        self.count += 1

    def r(self) -> float | None:
        """Return r, or None if too few frames came or one movie is constant."""
        if self.count < _ENOUGH_FRAMES:
            return None
        n, a, b, aa, bb, ab = self._sums.sum(0)
        variance_a, variance_b = aa - a * a / n, bb - b * b / n
        # A constant leaves rounding errors, not zero.
        if variance_a <= SMALLEST_VARIANCE * aa or variance_b <= SMALLEST_VARIANCE * bb:
            return None
        return float((ab - a * b / n) / np.sqrt(variance_a * variance_b))


class Judge:
    """Follows live movie and null; remembers recent stimuli and running sums."""

    def __init__(self, held_out: Array, hop_frames: int, window_frames: int) -> None:
        self._held_out = np.flatnonzero(held_out)
        self._hop = hop_frames
        self._blocks = window_frames // hop_frames
        self.begin()

    def begin(self) -> None:
        """Forget everything: a new session."""
        n = len(self._held_out)
        self._activity = RunningCorrelation(n, WINDOW_FRAMES)
        self._null_activity = RunningCorrelation(n, WINDOW_FRAMES)
        self._pixel = [RunningVideo() for _ in range(self._blocks)]
        self._null_pixel = RunningVideo()
        self._stimuli: OrderedDict[int, Array] = OrderedDict()
        self._judged = self._null_judged = 0

    def saw(self, index: int, image: Array) -> None:
        """Remember the stimulus at encoder frame `index`."""
        self._stimuli[index] = image
        while len(self._stimuli) > _STIMULI:
            self._stimuli.popitem(last=False)

    def hop(self, index: int, movie: Array, predicted: Array, recorded: Array) -> None:
        """Judge one hop: movie (W, 36, 64) up to encoder frame `index`, newest last.

        predicted, recorded: (W, n) activity of the same frames, NaN where lost.
        """
        for block, running in enumerate(self._pixel):
            self._compare(running, index, movie, block)
        self._judged += self._hold_up(self._activity, predicted, recorded)

    def null_hop(
        self, index: int, movie: Array, predicted: Array, recorded: Array
    ) -> None:
        """Judge the null in the same way, final frames only."""
        self._compare(self._null_pixel, index, movie, self._blocks - 1)
        self._null_judged += self._hold_up(self._null_activity, predicted, recorded)

    def verdict(self) -> Verdict:
        """Return what the last seconds say."""
        by_block = [running.r() for running in self._pixel]
        return Verdict(
            activity=_known(self._activity, self._judged),
            null_activity=_known(self._null_activity, self._null_judged),
            pixel=by_block[-1],
            null_pixel=self._null_pixel.r(),
            pixel_by_block=by_block,
        )

    def _compare(
        self, running: RunningVideo, index: int, movie: Array, block: int
    ) -> None:
        """Compare the hop of frames that is `block` hops old with what was shown."""
        for age in range(block * self._hop, (block + 1) * self._hop):
            shown = self._stimuli.get(index - age)
            if shown is not None:
                running.update(shown, movie[len(movie) - 1 - age])

    def _hold_up(
        self, running: RunningCorrelation, predicted: Array, recorded: Array
    ) -> int:
        """Compare held-out neurons over the final hop; return frames that counted."""
        final = slice(0, self._hop)
        for guess, truth in zip(predicted[final], recorded[final], strict=True):
            running.update(guess[self._held_out], truth[self._held_out])
        return int(np.isfinite(recorded[final, self._held_out]).all(1).sum())


def _known(running: RunningCorrelation, judged: int) -> float | None:
    r = running.mean() if judged >= _ENOUGH_FRAMES else np.nan
    return None if np.isnan(r) else float(r)
