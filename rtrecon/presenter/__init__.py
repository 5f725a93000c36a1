"""The presenter: shows clips to the mouse and sends what it shows, when it shows it.

In: clips, the screen and its gamma, events `next_clip` of the daemon.
Out: pictures on the screen, one stimulus message per picture with the time at which the
screen changed, and a table of these times.
State: which clips are still to be shown, and when the screen changed last.
Failures: what is wrong with clips, screen or daemon is a sentence before the first
picture. A daemon that ends later stops nothing: lost messages are counted.
"""

from __future__ import annotations

from rtrecon.core.errors import UserError

__all__ = ["PresenterError"]


class PresenterError(UserError):
    """The clips cannot be shown; the text says why and what to do."""
