"""Words and units of the window that depend on what the stimulus is."""

from __future__ import annotations

from rtrecon.metrics.live_metrics import (
    PIXEL_CORRELATION,
    VISUAL_FIELD_CORRELATION,
    LiveMetric,
)
from rtrecon.stimulus_space.space import StimulusSpace


def label_metric(metric: LiveMetric, space: StimulusSpace) -> str:
    """Return the label of a metric, without pixels where there are none."""
    if space.is_picture:
        return metric.label
    labels = {
        VISUAL_FIELD_CORRELATION.name: f"{space.name}, where neurons respond",
        PIXEL_CORRELATION.name: f"{space.name}, whole",
    }
    return labels.get(metric.name, metric.label)


def describe_metric(metric: LiveMetric, space: StimulusSpace) -> str:
    """Return what a metric is; of other senses than vision in their words."""
    if space.is_picture:
        return metric.description
    words = {
        "movie's pixels": "reconstruction",
        "where the neurons look": "where the neurons respond",
        "on the whole screen": "as a whole",
        "the movie": "the reconstruction",
    }
    text = metric.description
    for word, instead in words.items():
        text = text.replace(word, instead)
    return text


def describe_sd(sd_levels: float, space: StimulusSpace) -> str:
    """Return a s.d. in levels (0..255) as text, in the unit of the space."""
    if space.is_picture:
        return f"± {sd_levels:.0f} levels"
    sd = sd_levels * space.level_scale
    return f"± {sd:.2g} {space.unit}".rstrip()


def describe_course(space: StimulusSpace, seconds: float) -> str:
    """Return what rows or lines of a course are, and its length; "" of a movie."""
    if space.is_picture:
        return ""
    axis = space.axes[0]
    if not axis.is_ordered:
        return f"a line for each {axis.name}, {seconds:g} s"
    ends = axis.describe_position(0), axis.describe_position(axis.size - 1)
    return f"rows: {axis.name} {ends[0]} to {ends[1]}, {seconds:g} s"


def name_reconstruction(space: StimulusSpace) -> str:
    """Return what the window calls the reconstruction."""
    return "movie" if space.is_picture else "reconstruction"
