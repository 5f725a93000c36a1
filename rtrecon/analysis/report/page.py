"""`rtrecon report`: one session as one HTML page to print, mail and keep."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rtrecon.analysis.html import (
    encode_data_url,
    encode_png_url,
    encode_svg_url,
    render_page,
)
from rtrecon.analysis.report import plots
from rtrecon.analysis.report.calibration_text import describe_session_calibration
from rtrecon.analysis.report.scenes import (
    MovieScene,
    find_best_and_worst,
    map_recovered_variance,
)
from rtrecon.analysis.report.score_table import SCORE_COLUMNS, list_score_rows
from rtrecon.analysis.report.screen_text import describe_screen
from rtrecon.core.errors import UserError
from rtrecon.core.files import write_atomically
from rtrecon.session.session import Session
from rtrecon.session.session_files import REPORT_FILE
from rtrecon.session.summary import Summary, format_figures, summarize_session
from rtrecon.session.visual_field import read_visual_field

_MIN_EXTRAPOLATED_S = 0.05  # less is not worth a sentence


def write_report(path: Path, out: Path | None = None) -> Path:
    """Write a session's report and return its path; by default in the session's folder.

    The session may still be running. Raises UserError.
    """
    session, out = Session(path), out or path / REPORT_FILE
    if session.about.dish is not None:
        from rtrecon.analysis.dish.recorded_film import write_session_report

        return write_session_report(session, out)
    page = render_page("report.html.jinja", **_collect_content(session))
    try:
        write_atomically(out, page)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}") from None
    return out


def _has_encoder(session: Session) -> bool:
    """Return whether the session was recorded with an encoder, and so with a movie."""
    settings = session.about.settings.get("encoder", {})
    has_results = bool(len(session.movie) or session.quality)
    return has_results or settings.get("checkpoint") is not None


def _collect_content(session: Session) -> dict[str, Any]:
    session.check_values()  # the top of the page names all damage
    summary = summarize_session(session)
    name = session.path.resolve().name
    return {
        "title": f"rtrecon: {name}",
        "name": name,
        "quality_sentence": _summarize_quality(session, summary),
        "lines": [*_describe_session(session, summary)],
        "plots": _draw_plots(session, summary),
        "score_columns": SCORE_COLUMNS,
        "scores": list_score_rows(session),
        "rejections": _count_rejections(session),
        "scenes": [
            _describe_scene(title, scene)
            for title, scene in zip(
                ("Best", "Worst"), find_best_and_worst(session), strict=False
            )
        ],
        "events": _list_events(session),
        "figures": format_figures(summary),
        "provenance": _format_provenance(session),
    }


def _describe_session(session: Session, summary: Summary) -> list[str]:
    about, frames = session.about, session.frames
    duration_s = float(np.ptp(frames["t_microscope_s"])) if len(frames) else 0.0
    start = datetime.fromisoformat(about.started)
    sentences = [
        f"{start:%d %B %Y, %H:%M}, {_format_duration(duration_s)} at "
        f"{about.rate_hz:.4g} Hz from {about.meta.get('source', 'an unknown sender')}; "
        f"{len(about.neuron_ids)} neurons.",
        _summarize_losses(session, summary),
        _summarize_extrapolated(session),
        _summarize_stimulus(session),
        _summarize_behavior(session),
        describe_screen(summary),
    ]
    summary_line = " ".join(filter(None, sentences))
    calibration = describe_session_calibration(session)
    lines = [summary_line, calibration, *session.notices, _describe_subject(session)]
    return [line for line in lines if line]


def _summarize_quality(session: Session, summary: Summary) -> str:
    held_out_r = summary["activity_correlation"]
    sentences = []
    if stimulus_sentence := _summarize_correlation(summary):
        sentences.append(stimulus_sentence)
    if held_out_r is not None:
        baselines = _format_baselines(summary, "activity_correlation")
        sentences.append(
            f"Held-out neurons correlate with the prediction, r = {held_out_r:.2f}"
            f"{baselines}."
        )
    if sentences:
        return " ".join(sentences)
    if len(session.activity) and not _has_encoder(session):
        return "This session was recorded without an encoder: there is no movie."
    return "The recorded data do not show how good the movie is."


def _summarize_correlation(summary: Summary) -> str:
    """Return how the final movie correlates with the stimulus; "" if not known."""
    names = {
        "visual_field_correlation": " where the neurons look",
        "pixel_correlation": " on the whole screen",
    }
    parts = []
    for name, where in names.items():
        r = (summary[name] or {}).get("final")
        if r is not None:
            parts.append(f"r = {r:.2f}{where}{_format_baselines(summary, name)}")
    if not parts:
        return ""
    return f"The final movie correlates with the stimulus, {', '.join(parts)}."


def _format_baselines(summary: Summary, name: str) -> str:
    """Return null and mean frame of a figure in brackets, as far as they are known."""
    baselines = {
        "null": summary.get(f"null_{name}"),
        "mean frame": summary.get(f"mean_frame_{name}"),
    }
    known = [f"{label} {r:.2f}" for label, r in baselines.items() if r is not None]
    return f" ({', '.join(known)})" if known else ""


def _summarize_losses(session: Session, summary: Summary) -> str:
    """Return how many frames were sent and processed, and each kind of loss."""
    sent, processed = summary["frames_sent"], summary["frames_processed"]
    if sent is None:
        return f"{len(session.frames)} frames recorded."
    n_unrecorded = _count_unrecorded(session)
    losses = summary["frames_lost"] | {"not written to the recording": n_unrecorded}
    lost = ", ".join(f"{count} {words}" for words, count in losses.items() if count)
    n_rejected = int(np.sum(session.frames["is_accepted"] == 0))
    return (
        f"{sent} frames sent, {processed} processed; {lost or 'none lost'}; "
        f"{n_rejected} rejected by quality control."
    )


def _count_unrecorded(session: Session) -> int:
    """Return how many rows the recorder dropped because the disk was too slow."""
    daemon = [health for health in session.health if health.process == "daemon"]
    return max((health.lost.get("record", 0) for health in daemon), default=0)


def _summarize_extrapolated(session: Session) -> str:
    """Return how many seconds of the final movie rest on the prior alone."""
    movie = session.movie
    first = movie["encoder_frame"] - movie["n_frames"] + 1
    missing = 1 - np.nan_to_num(movie["information_fraction"], nan=1.0)
    missing_frames = (missing * movie["n_final"])[first >= 0].sum()
    missing_s = missing_frames / session.about.encoder_rate_hz
    if missing_s < _MIN_EXTRAPOLATED_S:
        return ""
    return f"{missing_s:.1f} s of the movie have no supporting activity."


def _summarize_stimulus(session: Session) -> str:
    """Return which stimulus was shown, whether or not there is a movie."""
    n_frames = len(session.stimulus)
    if not n_frames:
        return "No stimulus was recorded."
    shown = _format_duration(n_frames / session.about.encoder_rate_hz)
    if not session.clips:
        return f"Stimulus: {shown}."
    n_different = len({clip.name for clip in session.clips})
    return f"Stimulus: {shown}, {len(session.clips)} clips ({n_different} different)."


def _summarize_behavior(session: Session) -> str:
    """Return in which share of the encoder frames behaviour was measured."""
    if not len(session.activity):
        return ""
    shares = {
        name: float(np.isfinite(session.activity[column]).mean())
        for name, column in (("pupil", "pupil_dilation"), ("running", "running_speed"))
    }
    texts = [
        f"{name} in {share:.0%} of the encoder frames" if share else f"no {name}"
        for name, share in shares.items()
    ]
    return f"Behaviour: {', '.join(texts)}."


def _describe_subject(session: Session) -> str:
    settings = session.about.settings
    values = {**settings.get("subject", {}), **settings.get("experiment", {})}
    return "; ".join(f"{k}: {_format_value(v)}" for k, v in values.items() if v)


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _draw_plots(session: Session, summary: Summary) -> list[dict[str, str]]:
    quality = [_draw_quality(session, summary)] if _has_encoder(session) else []
    return [
        *quality,
        {
            "title": "Latency",
            "url": encode_svg_url(plots.plot_latencies(session)),
            "alt": "histograms of latencies",
            "caption": "Without frames that waited for a reference.",
        },
        {
            "title": "Motion and losses",
            "url": encode_svg_url(plots.plot_frames(session)),
            "alt": "motion, correlation with the template, lost and rejected frames",
            "caption": "",
        },
    ]


def _draw_quality(session: Session, summary: Summary) -> dict[str, str]:
    recovered = map_recovered_variance(session)
    return {
        "title": "Quality",
        "url": encode_svg_url(
            plots.plot_quality(session, summary, recovered, read_visual_field(session))
        ),
        "alt": "quality over time, by age of the frames, and on the screen",
        "caption": "Held-out neurons never enter the inversion. Dotted: the null, "
        "the same inversion with the identities of the neurons exchanged. Dashed: a "
        "still movie, the mean of the training movies.",
    }


def _count_rejections(session: Session) -> list[tuple[str, str]]:
    """Return how many frames registration rejected, by reason."""
    names, frames = session.about.rejection_reasons, session.frames
    codes = frames["rejection_reason"][frames["is_accepted"] == 0].astype(int)
    return [
        (names[code] if code < len(names) else "unknown", str(count))
        for code, count in zip(
            *(part.tolist() for part in np.unique(codes, return_counts=True)),
            strict=True,
        )
    ]


def _describe_scene(title: str, scene: MovieScene) -> dict[str, str]:
    has_stimulus = scene.stimulus is not None
    return {
        "title": title,
        "start": _format_duration(scene.start_s),
        "compared_with": "with the stimulus" if has_stimulus else "of held-out neurons",
        "r": f"{scene.r:.2f}",
        "movie_url": encode_data_url(scene.encode_mp4(), "video/mp4")
        if scene.space.is_picture
        else "",
        "strip_url": encode_png_url(scene.make_strip()),
        "caption": _describe_strip(scene),
    }


def _describe_strip(scene: MovieScene) -> str:
    if not scene.space.is_picture:
        axis = scene.space.axes[0].name
        above = (
            "stimulus above, reconstruction below; "
            if scene.stimulus is not None
            else ""
        )
        return f"Over {len(scene.movie) / scene.rate_hz:g} s: {above}rows are {axis}."
    if scene.stimulus is None:
        return "The reconstruction; the strip shows frames in order."
    return (
        "Movie: stimulus left, reconstruction right. Strip: stimulus above, "
        "reconstruction below."
    )


def _list_events(session: Session) -> list[tuple[str, str, str]]:
    start_s = datetime.fromisoformat(session.about.started).timestamp()
    return [
        (_format_duration(max(0.0, event.t - start_s)), event.name, event.message)
        for event in session.events
    ]


def _format_provenance(session: Session) -> str:
    about = msgspec.to_builtins(session.about)
    names = ("version", "libraries", "machine", "checkpoint_sha256", "meta", "settings")
    return json.dumps({name: about[name] for name in names}, indent=1)


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f} min" if minutes else f"{rest:.1f} s"
