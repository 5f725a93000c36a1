"""The calibration of one session: gathers its minutes, trains, judges, hands over."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from rtrecon.calibration.calibration_state import (
    CalibrationState,
    load_state,
    save_state,
)
from rtrecon.calibration.clip_data import (
    ClipData,
    count_missing_frames,
    make_clip_data,
)
from rtrecon.calibration.clips import ClipRole
from rtrecon.calibration.judging import judge_responses, measure_reliability
from rtrecon.calibration.recorded_minutes import RecordedMinutes, find_recordings
from rtrecon.calibration.sentences import Scores, describe_handover, describe_missing
from rtrecon.calibration.stimulus_check import StimulusCheck
from rtrecon.calibration.training_round import (
    RoundOptions,
    TrainedRound,
    make_checkpoint,
    train_round,
)
from rtrecon.config import CalibrationSettings
from rtrecon.core.errors import UserError
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rtrecon.session.session import Session
from rtrecon.session.session_files import ENCODER_FILE
from rtrecon.training.recorded import describe_recording, read_neurons
from rtrecon.training.report import TrainingScores, write_report

_TRAINING_SHARE = 0.75  # of the minutes, about


class SessionCalibration:
    """Everything about one session; there are no sockets and no clock here.

    problem: why the newest round failed, a sentence; "" if it did not. check: whether
    the neurons follow the stimulus.
    """

    def __init__(
        self, path: Path, settings: CalibrationSettings, options: RoundOptions
    ) -> None:
        """Begin, or go on from the state in the session's folders.

        path: the recording that is being written. NotASessionError if it is none.
        """
        self.problem = ""
        self._session = Session(path)
        about = self._session.about
        self._id, self._n_neurons = about.session, len(about.neuron_ids)
        self._path, self._settings, self._options = path, settings, options
        recordings = find_recordings(path, about.session)
        self.minutes = RecordedMinutes(about, recordings)
        self.check = StimulusCheck()
        self._scores = Scores()
        self._handed_over: LiveEncoder | None = None
        self._state = self._resume(recordings)

    @property
    def n_encoders(self) -> int:
        """How many encoders were handed over."""
        return self._state.n_encoders if self._state else 0

    @property
    def is_round_due(self) -> bool:
        """Whether there are enough new minutes for a round."""
        clips = self.minutes.clips
        if self.minutes.minutes < self._settings.first_minutes:
            return False
        if count_missing_frames(clips):
            return False
        if self._state is None:
            return True
        n_new = clips.frames_of(ClipRole.TRAINING) - self._state.n_frames
        every = self._settings.every_minutes * 60 * self.minutes.rate_hz
        return n_new >= _TRAINING_SHARE * every

    def check_stimulus(self) -> str:
        """Compare activity and stimulus if it is time; return a new verdict, or ""."""
        minutes, clips = self.minutes, self.minutes.clips
        if not self.check.is_due(minutes.minutes):
            return ""
        return self.check.run(minutes.rows, clips.picture_ids, minutes.rate_hz)

    def run_round(self) -> str:
        """Train and judge; return the sentence of a handover, "" if there is none.

        A round that fails changes nothing but `problem`.
        """
        try:
            sentence = self._run_round()
        except UserError as error:  # the weights, say, are not finite: train anew
            self._state, self.problem = None, str(error)
            return ""
        except OSError as error:
            self.problem = f"the encoder cannot be saved in {self._path}: {error}"
            return ""
        self.problem = ""
        return sentence

    def describe_progress(self, stage: str) -> dict[str, Any]:
        """Return the fields of a `messages.Calibration`."""
        scores, is_waiting = self._scores, stage == "gathering"
        responses, movie = scores.responses, scores.movie
        missing = self.problem or describe_missing(
            self.minutes, self._settings.first_minutes, scores
        )
        return {
            "stage": "complete" if is_waiting and self.minutes.is_full else stage,
            "minutes": round(self.minutes.minutes, 3),
            "n_neurons": self._n_neurons,
            "n_responsive": responses.n_responsive if responses else None,
            "response_r": _round(responses.mean_r) if responses else None,
            "ceiling_share": _round(scores.ceiling_share),
            "movie_r": _round(movie.r) if movie else None,
            "null_movie_r": _round(movie.null_r) if movie else None,
            "n_encoders": self.n_encoders,
            "missing": missing,
            **_list_lag_fields(self.check),
        }

    def _resume(self, recordings: Sequence[Path]) -> CalibrationState | None:
        """Return the newest state; its encoder is copied into the newest recording."""
        for path in reversed(recordings):
            state = load_state(path, self._id, self._n_neurons)
            if state is None:
                continue
            encoder_file = path / ENCODER_FILE
            if state.n_encoders and encoder_file.is_file():
                with suppress(UserError, OSError):
                    self._handed_over = load_checkpoint(encoder_file).encoder
                    if path != self._path:
                        shutil.copy2(encoder_file, self._path / ENCODER_FILE)
            return state
        return None

    def _run_round(self) -> str:
        data = self._make_data()
        trained = train_round(data, self._state, self._options)
        self._state = trained.state
        sentence = self._judge_round(trained, data)
        # Only now: a calibrator that is killed while it judges repeats the round.
        save_state(self._path, self._id, self._state)
        return sentence

    def _judge_round(self, trained: TrainedRound, data: ClipData) -> str:
        """Score a trained encoder; hand it over if it is good enough and better."""
        reliability = measure_reliability(
            self.minutes.rows, self.minutes.clips.picture_ids, self.minutes.rate_hz
        )
        share = trained.responses.share_of_ceiling(reliability)
        scores = Scores(trained.responses, share, None, trained.is_related)
        if self.n_encoders == 0:
            self._scores = scores
        if not trained.is_related or not self._is_better(trained, data):
            return ""
        path = self._path / ENCODER_FILE
        checkpoint, movie = make_checkpoint(trained, data, path, self._options)
        scores = replace(scores, movie=movie)
        if self.n_encoders == 0:
            self._scores = scores
        if not movie.is_clear:
            return ""
        self._scores = scores
        self._hand_over(checkpoint, trained)
        return describe_handover(scores, self.minutes.minutes, self.n_encoders)

    def _make_data(self) -> ClipData:
        data = make_clip_data(self.minutes, read_neurons(self._session))
        metadata = describe_recording(self._session)
        return replace(data, training=replace(data.training, metadata=metadata))

    def _is_better(self, trained: TrainedRound, data: ClipData) -> bool:
        """Return whether it predicts the judged clips better than the last one."""
        if self._handed_over is None:
            return True
        before = judge_responses(self._handed_over, data.judging)
        return trained.responses.mean_r > before.mean_r

    def _hand_over(self, checkpoint: Checkpoint, trained: TrainedRound) -> None:
        """Save the encoder and its report, and count it."""
        assert self._state is not None
        n_encoders = self._state.n_encoders + 1
        metadata = {
            **checkpoint.card.metadata,
            "calibration": {"session": self._id, "n_encoders": n_encoders},
        }
        card = replace(checkpoint.card, metadata=metadata)
        try:
            save_checkpoint(replace(checkpoint, card=card))
        except SafetensorError as error:  # the disk is full
            raise OSError(str(error)) from None
        self._handed_over = checkpoint.encoder
        self._state = replace(self._state, n_encoders=n_encoders)
        notices = tuple(metadata.get("notices", ()))
        write_report(
            card.path,
            TrainingScores(trained.history, trained.responses.r, None, notices),
        )


def _list_lag_fields(check: StimulusCheck) -> dict[str, Any]:
    found = check.found
    fields: dict[str, Any] = {"warning": check.warning}
    if found is None:
        return fields
    fields["n_following"] = found.n_following
    if found.estimate is not None:
        estimate = asdict(found.estimate)
        names = {"error_s": "lag_error_s"}  # the others have the message's names
        fields |= {names.get(key, key): _round(estimate[key]) for key in estimate}
    return fields


def _round(value: float | None) -> float | None:
    """Return a number with four digits; None for NaN, which JSON does not have."""
    return None if value is None or value != value else round(value, 4)
