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

AXIS_PX = 13
STYLE = f"""
QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: 15px; }}
QFrame#panel {{ background: {PANEL}; border-radius: 6px; }}
QFrame#panel QWidget {{ background: {PANEL}; }}
QLabel#title {{ font-size: 18px; font-weight: bold; }}
QLabel#note {{ font-size: 16px; color: {MUTED}; }}
QLabel#word {{ font-size: 40px; font-weight: bold; }}
QLabel#label {{ font-size: 13px; color: {MUTED}; }}
QLabel#value {{ font-size: 21px; font-weight: bold; }}
QLabel#value[alarm="true"] {{ color: {ALARM}; }}
QToolTip {{ background: {PANEL}; color: {TEXT}; border: 1px solid {RULE}; }}
"""
