"""The messages that the daemon published in a session, rebuilt from its recording.

Quality and health are recorded as they were published. Activity, movie, field of view
and stimulus are rebuilt from the tables; what the tables do not hold is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isnan

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.imaging.traces.activity_estimator import count_block_frames
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR, BehaviorValues
from rtrecon.replay.dish_counts import iterate_dish_counts
from rtrecon.session.session import Session
from rtrecon.session.table import Table

PublishedMessage = tuple[messages.PublishedMessage, Array]  # with its payload

_NO_PAYLOAD = np.empty(0, np.uint8)
_BLOCK_ROWS = 256  # read at a time
_FIELD_INTERVAL_S = 0.2  # between two published fields of view of a plane


def iterate_messages(session: Session, topic: str) -> Iterator[PublishedMessage]:
    """Yield the messages of one topic and their payloads, oldest first.

    Raises `UserError` for a topic that is not recorded.
    """
    if topic not in _READERS:
        raise UserError(
            f"the messages of {topic} are not recorded as they were published; rules "
            f"on {', '.join(_READERS)} can be tried"
        )
    return _READERS[topic](session)


def _iterate_activity(session: Session) -> Iterator[PublishedMessage]:
    processed, lag = _ProcessedFrames(session.frames), _count_lag_frames(session)
    for row, values in _iterate_rows(session.activity):
        index = processed.find_index(row["frame"])
        if index is None:
            continue
        # Deconvolution uses later frames: the newest of them completed this activity.
        newest = min(index + lag, len(processed) - 1)
        message = messages.Activity(
            session=session.about.session,
            seq=0,
            t=float(processed.done_s[newest]),
            encoder_frame=int(row["encoder_frame"]),
            frame=int(row["frame"]),
            t_frame=float(processed.received_s[index]),
            behavior=_select_behavior(row),
            is_backlog=bool(processed.is_late[newest]),
            t_newest_frame=float(processed.received_s[newest]),
        )
        yield message, values


def _iterate_movie(session: Session) -> Iterator[PublishedMessage]:
    for row, window in _iterate_rows(session.movie):
        images = window[len(window) - int(row["n_frames"]) :]
        message = messages.Movie(
            session=session.about.session,
            seq=0,
            t=row["t_published_s"],
            encoder_frame=int(row["encoder_frame"]),
            n_final=int(row["n_final"]),
            lag_s=row["lag_s"],
            shape=images.shape,
            n_steps=int(row["n_steps"]),
            t_frame=row["t_newest_frame_s"],
        )
        yield message, images


def _iterate_spread(session: Session) -> Iterator[PublishedMessage]:
    start_s, about = find_start_s(session), session.about
    for row, sd in _iterate_rows(session.spread):
        message = messages.Spread(
            session=about.session,
            seq=0,
            t=start_s + row["encoder_frame"] / about.encoder_rate_hz,
            encoder_frame=int(row["encoder_frame"]),
            hop_frames=about.hop_frames,
            shape=sd.shape,
            sd=row["sd"],
            data_share=row["data_share"],
        )
        yield message, sd


def _iterate_fields(session: Session) -> Iterator[PublishedMessage]:
    reasons, due_s = session.about.rejection_reasons, dict[int, float]()
    for row in _iterate_columns(session.frames):
        plane, t_s = int(row["plane"]), row["t_received_s"] + 1e-3 * row["latency_ms"]
        if t_s < due_s.get(plane, 0.0):
            continue
        due_s[plane] = t_s + _FIELD_INTERVAL_S
        reason = int(row["rejection_reason"])
        message = messages.FieldImage(
            session=session.about.session,
            seq=0,
            t=t_s,
            frame=int(row["frame"]),
            shape=(0, 0),
            shift_px=(row["shift_y_px"], row["shift_x_px"]),
            confidence=row["confidence"],
            plane=plane,
            rejection_reason=reasons[reason] if reason < len(reasons) else "",
            z_offset=None if isnan(row["z_offset"]) else row["z_offset"],
        )
        yield message, _NO_PAYLOAD


def _iterate_stimulus(session: Session) -> Iterator[PublishedMessage]:
    start_s = find_start_s(session)
    for row, image in _iterate_rows(session.stimulus):
        message = messages.AlignedStimulus(
            session=session.about.session,
            seq=0,
            t=start_s + row["encoder_frame"] / session.about.encoder_rate_hz,
            encoder_frame=int(row["encoder_frame"]),
            clip="",
            shape=image.shape,
        )
        yield message, image


def _iterate_quality(session: Session) -> Iterator[PublishedMessage]:
    return ((message, _NO_PAYLOAD) for message in session.quality)


def _iterate_calibration(session: Session) -> Iterator[PublishedMessage]:
    return ((message, _NO_PAYLOAD) for message in session.calibration)


def _iterate_dish(session: Session) -> Iterator[PublishedMessage]:
    return ((message, _NO_PAYLOAD) for message in iterate_dish_counts(session))


def _iterate_health(session: Session) -> Iterator[PublishedMessage]:
    return ((message, _NO_PAYLOAD) for message in session.health)


_READERS: dict[str, Callable[[Session], Iterator[PublishedMessage]]] = {
    "activity": _iterate_activity,
    "movie": _iterate_movie,
    "spread": _iterate_spread,
    "field": _iterate_fields,
    "aligned_stimulus": _iterate_stimulus,
    "quality": _iterate_quality,
    "calibration": _iterate_calibration,
    "dish": _iterate_dish,
    "health": _iterate_health,
}


def find_start_s(session: Session) -> float:
    """Return when the session's first frame was received; 0 without frames."""
    received_s = session.frames["t_received_s"]
    return float(received_s.min()) if len(received_s) else 0.0


def _count_lag_frames(session: Session) -> int:
    """Return how many later frames the activity of a frame waited for."""
    about = session.about
    if about.rate_unit is not None:  # rates are not deconvolved
        return 0
    traces = TracesSettings.model_validate(about.settings.get("traces", {}))
    # The daemon averages as many frames as the announced rate asks for.
    announced_hz = about.announced_rate_hz or about.rate_hz
    block_frames = count_block_frames(announced_hz, about.encoder_rate_hz)
    return traces.deconvolution_lag_frames * block_frames


class _ProcessedFrames:
    """When frames were received and processed, by the microscope's frame counter.

    is_late: whether the frame was queued, until a reference existed or behind others.
    """

    def __init__(self, frames: Table) -> None:
        order = np.argsort(frames["t_received_s"], kind="stable")
        received_s = frames["t_received_s"][order]
        done_s = received_s + 1e-3 * frames["latency_ms"][order]
        # The daemon receives a frame only after it has processed the one before.
        overtaken = done_s[:-1] > received_s[1:]
        is_late = np.zeros(len(order), bool)
        is_late[:-1] |= overtaken
        is_late[1:] |= overtaken
        # One row per frame: of several planes, the one that was received last.
        numbers, last = np.unique(frames["frame"][order][::-1], return_index=True)
        rows = len(order) - 1 - last
        self._numbers = numbers
        self.received_s, self.done_s = received_s[rows], done_s[rows]
        self.is_late = is_late[rows]

    def __len__(self) -> int:
        return len(self._numbers)

    def find_index(self, frame: float) -> int | None:
        """Return the index of this frame, or of the one before if it is missing."""
        index = int(np.searchsorted(self._numbers, frame, side="right")) - 1
        return index if index >= 0 else None


def _iterate_columns(table: Table) -> Iterator[dict[str, float]]:
    for row in table.rows.tolist():
        yield dict(zip(table.columns, row, strict=True))


def _iterate_rows(table: Table) -> Iterator[tuple[dict[str, float], Array]]:
    """Yield each row's columns by name, and its values."""
    rows = _iterate_columns(table)
    for start in range(0, len(table), _BLOCK_ROWS):
        values = table.read_values(start, start + _BLOCK_ROWS)
        yield from zip(rows, values, strict=False)


def _select_behavior(row: dict[str, float]) -> BehaviorValues:
    pupil, speed, x, y = (None if isnan(row[name]) else row[name] for name in BEHAVIOR)
    return pupil, speed, x, y
