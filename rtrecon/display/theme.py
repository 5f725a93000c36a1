"""Colours and text sizes: for a dark room, two metres away, all colour vision.

The hues are those of Okabe and Ito (2008), which stay distinct with every common form
of colour blindness. Where a colour has a meaning, a word or a line style has it too.
"""

from __future__ import annotations

BACKGROUND = "#0c0e11"
PANEL = "#15181d"
RULE = "#2b3038"
TEXT = "#dfe4ea"
MUTED = "#98a2ad"
FAINT = "#5a636e"
SKY = "#56b4e9"
ORANGE = "#e69f00"
PINK = "#e08fbf"
GREEN = "#1fc79a"  # bluish green
AMBER = "#f0c446"
VERMILLION = "#ff6f3c"

ALARM = AMBER
FINAL = SKY
PROVISIONAL = ORANGE
METRIC_COLORS = (SKY, PINK, ORANGE, GREEN, AMBER)  # by the metric's `color_role`
BEHIND_MOVIE = "#39465a"  # behind a transparent movie: bluish, as no gray level is
HATCH = "#5b6b82"
VEIL = "rgba(12, 14, 17, 190)"  # over a panel that may be out of date

AXIS_PX = 13
LABEL_PX = 14
STYLE_SHEET = f"""
QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: 15px; }}
QFrame#panel {{ background: {PANEL}; border-radius: 6px; }}
QFrame#panel QWidget {{ background: {PANEL}; }}
QLabel#title {{ font-size: 19px; font-weight: bold; }}
QLabel#note {{ font-size: 16px; color: {MUTED}; }}
QLabel#word {{ font-size: 54px; font-weight: bold; }}
QLabel#label {{ font-size: {LABEL_PX}px; color: {MUTED}; }}
QLabel#value {{ font-size: 23px; font-weight: bold; }}
QLabel#value[alarm="true"] {{ color: {ALARM}; }}
QLabel#banner {{ background: {VERMILLION}; color: {BACKGROUND}; font-size: 24px;
    border-radius: 6px; padding: 8px 14px; }}
QLabel#help {{ background: {PANEL}; border: 2px solid {MUTED}; border-radius: 8px;
    padding: 18px 26px; font-size: 18px; }}
QLineEdit {{ background: {PANEL}; border: 2px solid {SKY}; border-radius: 4px;
    padding: 2px 8px; font-size: 18px; }}
QSplitter::handle {{ background: {BACKGROUND}; }}
QFrame#panel QLabel#veil {{ background: {VEIL}; }}
QToolTip {{ background: {PANEL}; color: {TEXT}; border: 1px solid {RULE}; }}
"""
