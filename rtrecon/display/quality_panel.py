"""The verdict in one word and a colour, and what it stands on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.display import theme
from rtrecon.display.panels import Panel, label, narrow, row
from rtrecon.display.plots import key, line, plot, zone
from rtrecon.display.state import QUALITY_S
from rtrecon.display.verdict import GOOD_MARGIN, RULE, SAYS, Judged, Verdict, Word

_LOW, _HIGH = -0.15, 1.05


class QualityPanel(Panel):
    """Correlations against the null level over time, and the verdict in one word."""

    def __init__(self) -> None:
        super().__init__("Decoding quality")
        self.note.setText("last 2 min")
        self.setToolTip(RULE)
        self.word = label("NO DATA", "word")
        self._says = narrow(label("", "note"))
        self._says.setWordWrap(True)
        told = row(self.word, self._says)
        told.setStretch(1, 1)
        self.body.addLayout(told)
        self._activity, self._pixel, self._null = label(""), label(""), label("")
        self.body.addLayout(row(self._activity, self._pixel, self._null))
        self._plot = plot(QUALITY_S, (_LOW, _HIGH))
        words: tuple[Word, ...] = ("POOR", "FAIR", "GOOD")
        self._zones = [zone(self._plot, theme.VERDICT[word]) for word in words]
        self._null_line = line(self._plot, theme.FAINT, 1)
        self._level_line = line(self._plot, theme.MUTED, 2, dashed=True)
        self._pixel_line = line(self._plot, theme.PINK, 2)
        self._activity_line = line(self._plot, theme.SKY, 4)
        self.body.addWidget(self._plot, 1)

    def draw(self, history: Sequence[Judged], verdict: Verdict) -> None:
        """Show the correlations so far, newest at 0 s, and what they amount to."""
        self.word.setText(verdict.word)
        self.word.setStyleSheet(f"color: {theme.VERDICT[verdict.word]}")
        self._says.setText(SAYS[verdict.word])
        self._activity.setText(key(theme.SKY, "━", "held out", verdict.activity))
        self._pixel.setText(key(theme.PINK, "━", "pixels", verdict.pixel))
        self._null.setText(key(theme.MUTED, "┅", "null", verdict.null_level))
        table = np.array(history, np.float64).reshape(-1, 5)
        at_s = table[:, 0] - table[-1:, 0]
        self._activity_line.setData(at_s, table[:, 1], connect="finite")
        self._null_line.setData(at_s, table[:, 2], connect="finite")
        self._pixel_line.setData(at_s, table[:, 3], connect="finite")
        self._level_line.setData([-QUALITY_S, 0], [verdict.null_level] * 2)
        self._draw_zones(verdict.null_level)

    def _draw_zones(self, null_level: float) -> None:
        known = bool(np.isfinite(null_level))
        edges = [_LOW, null_level, null_level + GOOD_MARGIN, _HIGH]
        for band, low, high in zip(self._zones, edges, edges[1:], strict=False):
            band.setVisible(known)
            if known:
                band.setRegion((low, high))
