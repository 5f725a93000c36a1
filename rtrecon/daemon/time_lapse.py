"""Settings of a time-lapse: what is given in seconds or frames must hold some frames.

A session of one frame in 20 min cannot collect 100 frames for a template (33 hours),
and a baseline window of 60 s holds no frame at all. Each value is changed as far as
needed, and a sentence says so.
"""

from __future__ import annotations

from rtrecon.config import (
    RegistrationSettings,
    Settings,
    TimingSettings,
    TracesSettings,
)
from rtrecon.core.errors import UserError
from rtrecon.core.frame_intervals import (
    describe_rate,
    format_interval,
    is_time_lapse,
)

_MAX_TEMPLATE_S = 300.0  # the user of a time-lapse waits so long for the reference
_MIN_BASELINE_FRAMES, _MIN_SMOOTHING_FRAMES, _MIN_DRIFT_FRAMES = 30, 2, 10


def adapt_settings(
    settings: Settings, rate_hz: float, *, has_encoder: bool
) -> tuple[Settings, list[str]]:
    """Return the settings for a session of this rate, and a sentence per change.

    Settings of a session that is no time-lapse are returned as they are. Raises
    `UserError` for a time-lapse with an encoder, which was trained on fast frames.
    """
    if not is_time_lapse(rate_hz):
        return settings, []
    if has_encoder:
        raise UserError(
            f"the session has {describe_rate(rate_hz)}, but the encoder needs "
            f"{settings.timing.encoder_rate_hz:g} frames per second; leave out "
            "encoder.checkpoint for a time-lapse"
        )
    timing = TimingSettings(encoder_rate_hz=rate_hz)
    if settings.dish.enabled:  # has its own registration, and no traces
        return settings.model_copy(update={"timing": timing}), []
    registration, notices = _adapt_registration(settings.registration, rate_hz)
    traces, more = _adapt_traces(settings.traces, rate_hz)
    changes = {
        "registration": registration,
        "traces": traces,
        "timing": timing,
    }
    return settings.model_copy(update=changes), notices + more


def count_template_frames(rate_hz: float) -> int:
    """Return how many frames of a time-lapse may make the template."""
    return max(1, round(_MAX_TEMPLATE_S * rate_hz))


def _adapt_registration(
    settings: RegistrationSettings, rate_hz: float
) -> tuple[RegistrationSettings, list[str]]:
    changes: dict[str, float] = {}
    notices = []
    n_frames, n_wanted = count_template_frames(rate_hz), settings.template_frames
    if n_frames < n_wanted:
        changes["template_frames"] = n_frames
        first = "the first frame" if n_frames == 1 else f"the first {n_frames} frames"
        notices.append(
            f"the reference is made from {first}, not from {n_wanted}, which would "
            f"take {format_interval(n_wanted / rate_hz)}"
        )
    drift_s, min_drift_s = settings.template_drift_s, _MIN_DRIFT_FRAMES / rate_hz
    if drift_s is not None and drift_s < min_drift_s:
        changes["template_drift_s"] = min_drift_s
        notices.append(_describe_change("template_drift_s", drift_s, min_drift_s))
    return settings.model_copy(update=changes), notices


def _adapt_traces(
    settings: TracesSettings, rate_hz: float
) -> tuple[TracesSettings, list[str]]:
    changes: dict[str, float | None] = {}
    notices = []
    window_s, min_window_s = settings.baseline_window_s, _MIN_BASELINE_FRAMES / rate_hz
    if window_s < min_window_s:
        changes["baseline_window_s"] = min_window_s
        notices.append(_describe_change("baseline_window_s", window_s, min_window_s))
    min_smooth_s = _MIN_SMOOTHING_FRAMES / rate_hz
    if settings.baseline_smooth_s < min_smooth_s:
        changes["baseline_smooth_s"] = min_smooth_s
    rise_s = settings.indicator_rise_s
    if rise_s is not None and rise_s * rate_hz < 1:
        changes["indicator_rise_s"] = None
        notices.append(
            f"indicator_rise_s = {rise_s:g} is not used: it is shorter than the "
            "interval of the frames"
        )
    return settings.model_copy(update=changes), notices


def _describe_change(name: str, given_s: float, used_s: float) -> str:
    return (
        f"{name} is {format_interval(used_s)} in this session: {given_s:g} s hold too "
        "few frames"
    )
