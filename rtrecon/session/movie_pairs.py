"""A session's movie beside the stimulus, frame by frame, wherever both are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session.movie_reader import BLOCK_FRAMES, MovieFrames
from rtrecon.session.session import Session
from rtrecon.session.table import Table


@dataclass(frozen=True)
class Pairs:
    """What was made and what was shown, not read yet.

    indices: (n,) int64 encoder frames, increasing. ours, theirs: (n,) which images of
    `told` and which rows of `stimulus` they are.
    """

    indices: Array
    ours: Array
    theirs: Array
    told: MovieFrames
    stimulus: Table

    @classmethod
    def of(cls, session: Session, told: MovieFrames) -> Pairs:
        """Return the frames of a movie whose stimulus was recorded."""
        shown = session.stimulus["index"].astype(np.int64)
        found = np.intersect1d(told.indices, shown, return_indices=True)
        return cls(*found, told, session.stimulus)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return made and shown of pairs start:stop, uint8 (n, height, width)."""
        ours, theirs = self.ours[start:stop], self.theirs[start:stop]
        if not len(ours):
            return self.told.read(0, 0), self.stimulus.values(0, 0)
        made = self.told.read(int(ours[0]), int(ours[-1]) + 1)
        first = int(theirs.min())
        shown = self.stimulus.values(first, int(theirs.max()) + 1)
        return made[ours - ours[0]], shown[theirs - first]

    def blocks(self, most_frames: int | None = None) -> Iterator[tuple[Array, Array]]:
        """Yield made and shown of a few pairs at a time.

        most_frames: of a longer session, blocks evenly through it, so many in all.
        """
        count = -(-len(self) // BLOCK_FRAMES)
        wanted = count if most_frames is None else -(-most_frames // BLOCK_FRAMES)
        chosen = np.linspace(0, count - 1, min(count, wanted)).astype(int)
        for start in (chosen * BLOCK_FRAMES).tolist():
            yield self.read(start, start + BLOCK_FRAMES)
