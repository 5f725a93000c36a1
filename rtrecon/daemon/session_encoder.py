"""Chooses the encoder of `encoder.checkpoint = "session"`: the newest recorded one."""

from __future__ import annotations

from pathlib import Path

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.encoder.card import read_card, require_same_neurons
from rtrecon.rois.readers.registry import load_rois
from rtrecon.session.session import NotASessionError, Session, list_sessions
from rtrecon.session.session_files import ENCODER_FILE

SESSION_CHECKPOINT = "session"


def choose_session_encoder(settings: Settings) -> tuple[Settings, str]:
    """Return the settings with the path of the encoder, and a sentence about it.

    The encoder is of the newest session of the same subject that was calibrated.
    Without one, or where it was trained on other neurons than those of `rois.path`,
    there is none, and this session is a calibration. Settings that name another encoder
    are returned as they are, with no sentence.
    """
    if settings.encoder.checkpoint != SESSION_CHECKPOINT:
        return settings, ""
    path = _find_newest_encoder(settings)
    if path is None:
        reason = f"no session in {settings.recording.folder} has an encoder yet"
    elif not (reason := _explain_misfit(path, settings)):
        return _replace_checkpoint(settings, path), f"the encoder of {path.parent.name}"
    return (
        _replace_checkpoint(settings, None),
        f"{reason}; an encoder is trained in this session",
    )


def _replace_checkpoint(settings: Settings, path: Path | None) -> Settings:
    encoder = settings.encoder.model_copy(update={"checkpoint": path})
    return settings.model_copy(update={"encoder": encoder})


def _find_newest_encoder(settings: Settings) -> Path | None:
    """Return the newest encoder of a session of the same subject, if there is one."""
    for folder in reversed(list_sessions(settings.recording.folder)):
        path = folder / ENCODER_FILE
        if path.is_file() and _is_of_subject(folder, settings.subject.subject_id):
            return path.resolve()
    return None


def _is_of_subject(folder: Path, subject_id: str | None) -> bool:
    try:
        recorded = Session(folder).about.settings.get("subject", {})
    except NotASessionError:
        return False
    return recorded.get("subject_id") == subject_id


def _explain_misfit(path: Path, settings: Settings) -> str:
    """Return why an encoder does not fit the masks of the settings; "" if it does."""
    try:
        card = read_card(path)
        if settings.rois.path is not None:
            rois = load_rois(settings.rois.path, card.rois.shape, settings.rois)
            require_same_neurons(card, rois)
    except UserError as error:
        return str(error)
    return ""
