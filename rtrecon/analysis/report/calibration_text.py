"""Says in a report how an encoder was trained in the session itself."""

from __future__ import annotations

from rtrecon.protocol import messages
from rtrecon.session.session import Session
from rtrecon.session.session_files import ENCODER_FILE


def describe_session_calibration(session: Session) -> str:
    """Return sentences about the calibration of a session; "" if there was none."""
    if not session.calibration:
        return ""
    newest = session.calibration[-1]
    sentences = [
        f"Calibration: {newest.minutes:.1f} min of activity with a known stimulus.",
        _describe_lag(newest),
        _describe_responses(newest),
        _describe_movie(newest),
        _describe_handover(session, newest),
    ]
    return " ".join(filter(None, sentences))


def _describe_lag(newest: messages.Calibration) -> str:
    if newest.warning:
        return f"Activity and stimulus do not fit: {newest.warning}."
    if newest.lag_s is None:
        return ""
    error_ms, drift_ms = (
        1e3 * (value or 0.0) for value in (newest.lag_error_s, newest.drift_s)
    )
    return (
        f"Activity follows the stimulus {1e3 * newest.lag_s:.0f} ± {error_ms:.0f} ms "
        f"later; between the halves of these minutes that changes by "
        f"{drift_ms:+.0f} ms."
    )


def _describe_responses(newest: messages.Calibration) -> str:
    if newest.n_responsive is None or newest.response_r is None:
        return "No encoder was trained."
    share = newest.ceiling_share
    of_ceiling = "" if share is None else f", {share:.0%} of what noise allows"
    return (
        f"{newest.n_responsive} of {newest.n_neurons} neurons respond; on clips that "
        f"training did not see, r = {newest.response_r:.2f}{of_ceiling}."
    )


def _describe_movie(newest: messages.Calibration) -> str:
    if newest.movie_r is None or newest.null_movie_r is None:
        return ""
    return (
        f"The movie of such clips has r = {newest.movie_r:.2f} where the neurons look "
        f"(null {newest.null_movie_r:.2f})."
    )


def _describe_handover(session: Session, newest: messages.Calibration) -> str:
    if not newest.n_encoders:
        missing = newest.missing
        return f"No encoder was handed over: {missing}." if missing else ""
    encoders = "encoder was" if newest.n_encoders == 1 else "encoders were"
    return (
        f"{newest.n_encoders} {encoders} handed to the inverter"
        f"{_describe_first_movie(session)}; the newest is in {ENCODER_FILE}."
    )


def _describe_first_movie(session: Session) -> str:
    movie, frames = session.movie, session.frames
    if not len(movie) or not len(frames):
        return ""
    first_s = movie["t_published_s"].min() - frames["t_received_s"].min()
    minutes = first_s / 60
    return f", and the first live movie came {minutes:.1f} min after the first frame"
