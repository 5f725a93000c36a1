"""`rtrecon report`: a session on a page that can be printed, mailed and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from rtrecon.analysis import html
from rtrecon.analysis.html import text
from rtrecon.analysis.report import plots
from rtrecon.analysis.report.scenes import Scene, best_and_worst, recovered
from rtrecon.core.errors import UserError
from rtrecon.session.session import Session
from rtrecon.session.summary import Summary, figures, summarise

FILE = "report.html"


def write_report(path: Path, out: Path | None = None) -> Path:
    """Write a session's report and return where; into its own folder if not told.

    The session may still be running. Raises UserError.
    """
    session, out = Session(path), out or path / FILE
    summary = summarise(session)
    parts = [*_head(session, summary), *_plots(session, summary), *_scenes(session)]
    parts += [_events(session), _figures(summary), _origins(session)]
    partial = out.with_name(f"{out.name}.partial")
    try:
        html.write_document(partial, f"rtrecon: {path.resolve().name}", parts)
        partial.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}") from None
    return out


def _head(session: Session, summary: Summary) -> Iterator[str]:
    about, frames = session.about, session.frames
    lasted_s = float(np.ptp(frames["t"])) if len(frames) else 0.0
    began = datetime.fromisoformat(about.started)
    yield f"<h1>{text(session.path.resolve().name)}</h1>"
    yield f'<p class="lead">{text(_verdict(summary))}</p>'
    told = [
        f"{began:%d %B %Y, %H:%M}, {_clock(lasted_s)} at {about.rate_hz:.4g} Hz from "
        f"{about.meta.get('source', 'an unknown sender')}; "
        f"{len(about.neuron_ids)} neurons. {_losses(session, summary)}"
        f"{_extrapolated(session)}",
        _whose(session),
    ]
    yield from (f"<p>{text(line)}</p>" for line in told if line)


def _verdict(summary: Summary) -> str:
    """Return what one wants to know first."""
    seen = (summary["pixel_correlation"] or {}).get("final")
    parts = []
    if seen is not None:
        null = _against(summary["null_pixel_correlation"])
        parts.append(
            f"The final movie correlates with the stimulus, r = {seen:.2f}{null}."
        )
    heard = summary["activity_correlation"]
    if heard is not None:
        null = _against(summary["null_correlation"])
        parts.append(f"Neurons held out do with its prediction, r = {heard:.2f}{null}.")
    return (
        " ".join(parts) or "How good the movie is cannot be told from what is recorded."
    )


def _against(null: float | None) -> str:
    return "" if null is None else f" (null {null:.2f})"


def _losses(session: Session, summary: Summary) -> str:
    """Return what became of the frames."""
    received, processed = summary["frames_received"], summary["frames_processed"]
    if received is None:
        return f"{len(session.frames)} frames recorded."
    gaps = summary["gaps"]
    untrusted = int(np.sum(session.frames["trusted"] == 0))
    return (
        f"{received} frames received, {processed} processed; {gaps['wire']} lost on "
        f"the wire, {gaps['source']} before it; {untrusted} not trusted."
    )


def _extrapolated(session: Session) -> str:
    """Return how much of the final movie rests on activity that was lost."""
    movie = session.movie
    if "told" not in movie.columns:  # recorded by an older version
        return ""
    first = movie["index"] - movie["count"] + 1
    untold = (1 - np.nan_to_num(movie["told"], nan=1.0)) * movie["final"]
    lost_s = untold[first >= 0].sum() / session.about.encoder_rate_hz
    return (
        f" {lost_s:.1f} s of the movie are told by no activity."
        if lost_s >= 0.05
        else ""
    )


def _whose(session: Session) -> str:
    settings = session.about.settings
    named = {**settings.get("subject", {}), **settings.get("experiment", {})}
    return "; ".join(f"{k}: {_listed(v)}" for k, v in named.items() if v)


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _plots(session: Session, summary: Summary) -> Iterator[str]:
    yield (
        "<section><h2>How good</h2>"
        + html.drawing(
            plots.quality(session, summary, recovered(session)),
            "quality through the session, by age, and by place on the screen",
            "Held-out neurons never enter the inversion. Dotted: the same with neurons "
            "exchanged, which is what nothing looks like.",
        )
        + "</section>"
    )
    yield (
        "<section><h2>How fast</h2>"
        + html.drawing(
            plots.latencies(session),
            "histograms of latencies",
            "Frames that had to wait for a reference are left out.",
        )
        + "</section>"
    )
    yield (
        "<section><h2>How steady</h2>"
        + html.drawing(
            plots.frames(session), "motion, match with the template, frames lost"
        )
        + _doubts(session)
        + "</section>"
    )


def _doubts(session: Session) -> str:
    """Return a table of why frames were not trusted, if any was not."""
    reasons = session.about.reasons
    frames = session.frames
    places = frames["reason"][frames["trusted"] == 0].astype(int)
    if not len(places):
        return ""
    numbers, counts = np.unique(places, return_counts=True)
    named = (reasons[i] if i < len(reasons) else "unknown" for i in numbers)
    rows = [(name, str(n)) for name, n in zip(named, counts.tolist(), strict=True)]
    return html.table(("not trusted because", "frames"), rows)


def _scenes(session: Session) -> Iterator[str]:
    scenes = best_and_worst(session)
    if not scenes:
        return
    titles = ("Best", "Worst")
    shown = zip(titles, scenes, strict=False)
    parts = "".join(f"<div>{_scene(title, scene)}</div>" for title, scene in shown)
    yield f'<h2>What it looks like</h2><div class="pair">{parts}</div>'


def _scene(title: str, scene: Scene) -> str:
    known = scene.shown is not None
    of = "with the stimulus" if known else "of held-out neurons"
    sides = "shown left, reconstructed right" if known else "reconstructed"
    strip = html.image(html.png(scene.strip()), f"{title} frames", "frames")
    return (
        f"<h3>{title}: from {_clock(scene.start_s)}, r {of} {scene.r:.2f}</h3>"
        f"{html.video(scene.mp4())}{strip}<p class='quiet'>{sides}; in the strip, "
        f"{'above and below' if known else 'frames in order'}</p>"
    )


def _events(session: Session) -> str:
    began_s = datetime.fromisoformat(session.about.started).timestamp()
    rows = [
        (_clock(max(0.0, event.t - began_s)), event.name, event.message)
        for event in session.events
    ]
    return "<h2>What happened</h2>" + html.table(("", "event", ""), rows)


def _figures(summary: Summary) -> str:
    return "<h2>Figures</h2>" + html.table(("figure", "value"), figures(summary))


def _origins(session: Session) -> str:
    """Return settings, versions and machine, folded away."""
    about = msgspec.to_builtins(session.about)
    names = ("version", "libraries", "machine", "checkpoint_sha256", "meta", "settings")
    told = json.dumps({name: about[name] for name in names}, indent=1)
    return (
        "<details><summary>How it was recorded: versions, machine, settings</summary>"
        f"<pre>{text(told)}</pre></details>"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f} min" if minutes else f"{rest:.1f} s"
