"""The movie frame by frame, chosen from the overlapping windows of all hops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session import tables
from rtrecon.session.table import Table

BLOCK_FRAMES = 256  # read at a time; with hops of five frames, 4 MB of windows


@dataclass(frozen=True)
class MovieFrames:
    """A movie, not read yet: each encoder frame is one image of one hop's window.

    encoder_frames: (n,) int64, increasing. hop_rows: (n,) row of `table` whose window
    has the image. window_indices: (n,) index of the image in that window, negative:
    counted from the window's end.
    """

    encoder_frames: Array
    hop_rows: Array
    window_indices: Array
    table: Table

    def __len__(self) -> int:
        return len(self.encoder_frames)

    def read_images(self, start: int, stop: int) -> Array:
        """Return images start:stop, uint8 (n, height, width)."""
        rows, indices = self.hop_rows[start:stop], self.window_indices[start:stop]
        first, last = int(rows.min(initial=0)), int(rows.max(initial=0))
        windows = self.table.read_values(first, last + 1)
        images: Array = windows[rows - first, indices] if len(rows) else windows[:0, 0]
        return images

    def read_all(self) -> Array:
        """Return all images; reads a few windows at a time to save memory."""
        starts = range(0, len(self), BLOCK_FRAMES) or [0]
        blocks = [self.read_images(start, start + BLOCK_FRAMES) for start in starts]
        return np.concatenate(blocks)


def select_frames_at_lag(movie: Table, lag_frames: int) -> MovieFrames:
    """Return each frame as it was reconstructed when it was `lag_frames` old."""
    newest = lag_frames + 1
    return _select_newest(
        movie, lambda hop: range(max(0, hop.n_frames - newest), hop.n_frames)
    )


def select_final_frames(movie: Table) -> MovieFrames:
    """Return each frame as it was reconstructed when it would not change again."""
    return _select_newest(movie, lambda hop: range(hop.n_final))


def _select_newest(
    movie: Table, choose_images: Callable[[tables.MovieRow], range]
) -> MovieFrames:
    """Return, for every encoder frame, the chosen image of the newest hop."""
    newest: dict[int, tuple[int, int]] = {}
    for hop_row, row in enumerate(movie.rows):
        hop = tables.MovieRow(*map(int, row[:3]), *row[3:])
        for index in choose_images(hop):
            encoder_frame = hop.encoder_frame - hop.n_frames + 1 + index
            newest[encoder_frame] = hop_row, index - hop.n_frames
    # The first windows reach back to before the session.
    chosen = [(frame, *newest[frame]) for frame in sorted(newest) if frame >= 0]
    frames, hop_rows, window_indices = np.array(chosen, np.int64).reshape(-1, 3).T
    return MovieFrames(frames, hop_rows, window_indices, movie)
