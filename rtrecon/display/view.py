"""The user's choices: which moment of the movie to show, and how to draw it."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.display.playback import Moment, Playback, Span

CONTRAST_GAINS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
_DEFAULT_GAIN_INDEX = CONTRAST_GAINS.index(1.0)


@dataclass
class View:
    """The choices. They change neither the recording nor other displays.

    lag_frames: how many frames behind the newest one to show; None = the newest final
    frame. paused_index: the encoder frame at which the movie is paused; None = live.
    hides_unconstrained: make transparent what the data do not constrain. shown_index:
    the encoder frame on the screen.
    """

    lag_frames: int | None = None
    paused_index: int | None = None
    hides_unconstrained: bool = False
    gain_index: int = _DEFAULT_GAIN_INDEX
    shown_index: int = 0

    @property
    def is_paused(self) -> bool:
        """Whether the movie is paused."""
        return self.paused_index is not None

    @property
    def contrast_gain(self) -> float:
        """Factor on the contrast of the reconstruction."""
        return CONTRAST_GAINS[self.gain_index]

    def select_moment(self, playback: Playback, now_s: float) -> Moment | None:
        """Return the moment to show, and remember which frame it is."""
        if self.paused_index is not None:
            return playback.moment_at(self.paused_index, now_s)
        moment = playback.moment_now(now_s, self.lag_frames)
        if moment is not None:
            self.shown_index = moment.index
        return moment

    def change_lag(self, span: Span, n_hops: int) -> None:
        """Show frames that are `n_hops` older: closer to final, less recent."""
        lag = span.n_provisional if self.lag_frames is None else self.lag_frames
        new_lag = max(0, lag + n_hops * span.hop)
        self.lag_frames = None if new_lag >= span.n_provisional else new_lag

    def toggle_newest(self) -> None:
        """Switch between the newest frames and the newest final frames."""
        self.lag_frames = 0 if self.lag_frames is None else None

    def pause_at(self, span: Span, index: int) -> None:
        """Pause the movie at frame `index`, or at the nearest stored frame."""
        self.paused_index = self.shown_index = min(max(index, span.oldest), span.newest)

    def resume_live(self) -> None:
        """Follow the live movie again."""
        self.paused_index = None

    def change_contrast(self, n_steps: int) -> None:
        """Choose a higher contrast (positive steps) or a lower one."""
        last = len(CONTRAST_GAINS) - 1
        self.gain_index = min(max(self.gain_index + n_steps, 0), last)
