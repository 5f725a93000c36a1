"""A session's movie beside the stimulus, for every encoder frame that has both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session.movie_reader import BLOCK_FRAMES, MovieFrames
from rtrecon.session.session import Session
from rtrecon.session.table import Table


@dataclass(frozen=True)
class MoviePairs:
    """Pairs of a reconstructed image and the stimulus image, not read yet.

    encoder_frames: (n,) int64, increasing. movie_indices, stimulus_rows: (n,) which
    images of `movie` and which rows of `stimulus` the pairs are made of.
    """

    encoder_frames: Array
    movie_indices: Array
    stimulus_rows: Array
    movie: MovieFrames
    stimulus: Table

    @classmethod
    def match_frames(cls, session: Session, movie: MovieFrames) -> MoviePairs:
        """Return the frames of a movie whose stimulus was recorded."""
        shown = session.stimulus["encoder_frame"].astype(np.int64)
        matched = np.intersect1d(movie.encoder_frames, shown, return_indices=True)
        return cls(*matched, movie, session.stimulus)

    def __len__(self) -> int:
        return len(self.encoder_frames)

    def read_pairs(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return reconstruction and stimulus of pairs start:stop.

        Each is uint8 (n, height, width).
        """
        images, rows = self.movie_indices[start:stop], self.stimulus_rows[start:stop]
        if not len(images):
            return self.movie.read_images(0, 0), self.stimulus.read_values(0, 0)
        movie = self.movie.read_images(int(images[0]), int(images[-1]) + 1)
        first_row = int(rows.min())
        stimulus = self.stimulus.read_values(first_row, int(rows.max()) + 1)
        return movie[images - images[0]], stimulus[rows - first_row]

    def iterate_blocks(
        self, max_frames: int | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """Yield reconstruction and stimulus of a few pairs at a time.

        max_frames: of a longer session, only about as many pairs, in blocks that are
        spread evenly over it.
        """
        n_blocks = -(-len(self) // BLOCK_FRAMES)
        n_wanted = n_blocks if max_frames is None else -(-max_frames // BLOCK_FRAMES)
        chosen = np.linspace(0, n_blocks - 1, min(n_blocks, n_wanted)).astype(int)
        for start in (chosen * BLOCK_FRAMES).tolist():
            yield self.read_pairs(start, start + BLOCK_FRAMES)
