"""Colours and type: for a dark room, for two metres, for every kind of colour vision.

Hues are those of Okabe and Ito (2008), which stay apart in every common colour
blindness; wherever one carries meaning, a word or a line style carries it too.
"""

from __future__ import annotations

from rtrecon.display.verdict import Word

BACKGROUND = "#0c0e11"
PANEL = "#15181d"
RULE = "#2b3038"
TEXT = "#dfe4ea"
MUTED = "#98a2ad"
FAINT = "#5a636e"
SKY = "#56b4e9"
ORANGE = "#e69f00"
PINK = "#e08fbf"
ALARM = "#f0c446"

VERDICT: dict[Word, str] = {
    "GOOD": "#1fc79a",  # bluish green
    "FAIR": "#f0c446",  # amber
    "POOR": "#ff6f3c",  # vermillion
    "NO DATA": MUTED,
}
FINAL = SKY
PROVISIONAL = ORANGE
BEHIND = "#39465a"  # what lies behind a movie that is transparent: no gray
HATCH = "#5b6b82"
STALE = "rgba(12, 14, 17, 190)"  # over what was true once

AXIS_PX = 13
LABEL_PX = 14
STYLE = f"""
QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: 15px; }}
QFrame#panel {{ background: {PANEL}; border-radius: 6px; }}
QFrame#panel QWidget {{ background: {PANEL}; }}
QLabel#title {{ font-size: 19px; font-weight: bold; }}
QLabel#note {{ font-size: 16px; color: {MUTED}; }}
QLabel#word {{ font-size: 54px; font-weight: bold; }}
QLabel#label {{ font-size: {LABEL_PX}px; color: {MUTED}; }}
QLabel#value {{ font-size: 23px; font-weight: bold; }}
QLabel#value[alarm="true"] {{ color: {ALARM}; }}
QLabel#help {{ background: {PANEL}; border: 2px solid {MUTED}; border-radius: 8px;
    padding: 18px 26px; font-size: 18px; }}
QLineEdit {{ background: {PANEL}; border: 2px solid {SKY}; border-radius: 4px;
    padding: 2px 8px; font-size: 18px; }}
QSplitter::handle {{ background: {BACKGROUND}; }}
QFrame#panel QLabel#stale {{ background: {STALE}; }}
QToolTip {{ background: {PANEL}; color: {TEXT}; border: 1px solid {RULE}; }}
"""
