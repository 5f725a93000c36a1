"""A complete recorded session in which every value is known.

Frame i has i in its traces. In the first half of the session the movie equals the
stimulus, in the second half it is noise.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from rtrecon import config
from rtrecon.config import (
    ClosedLoopSettings,
    ExperimentSettings,
    Settings,
    SubjectSettings,
)
from rtrecon.imaging.reference import PlaneReference, StoredField
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.metrics.visual_field import encode_visual_field
from rtrecon.protocol import messages
from rtrecon.rois import roi_set
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import get_reference_path, save_reference
from rtrecon.session.tables import ActivityRow, FrameRow, OnsetRow
from tests.support import session_tables

FIELD_SHAPE = (40, 50)
ROI_IDS = {0: [7, 3, 12], 1: [20, 21]}  # of each plane
VISUAL_FIELD = np.indices((36, 64))[1] < 40  # where the neurons look
N_FRAMES, RATE_HZ = 336, 30.0
WINDOW, HOP = session_tables.WINDOW, session_tables.HOP
T0_S = 50.0  # of the first frame, on the microscope's clock
REJECTED_FRAMES = range(40, 45)
CLOSED_LOOP = ClosedLoopSettings.model_validate(
    {
        "rules": [
            {"name": "loud", "when": "mean(activity[7, 3]) > 2"},
            {"name": "grating seen", "when": "similarity(grating) > 0.3"},
        ],
        "targets": {"grating": "grating.mp4"},
    }
)
REACTION_S = {"loud": 0.004, "grating seen": 0.15}  # from a frame to the rule's event
HALF_INFORMED = range(150, 180)  # half of the activity that depends on these is lost
FIRST_FRAME_AFTER_LOSS = 100  # three frames are missing in the microscope's counter
CLIPS = {0: "leaves", 200: "gratings"}
SUBJECT = SubjectSettings(
    subject_id="M1", species="Mus musculus", sex="F", age="P90D", description="awake"
)
EXPERIMENT = ExperimentSettings(
    session_description="natural movies",
    experimenter="Last, First",
    lab="a lab",
    institution="a university",
    experiment_description="reconstruction",
    keywords=["visual cortex"],
    device="a microscope",
    location="VISp",
    indicator="GCaMP6s",
    excitation_lambda=920.0,
    emission_lambda=510.0,
    grid_spacing_um=(1.5, 2.0),
)


def make_stimulus(n_frames: int = N_FRAMES) -> np.ndarray:
    """uint8 (n, 36, 64): patches that change every five frames."""
    coarse = np.random.default_rng(0).integers(0, 256, (n_frames // 5 + 1, 9, 16))
    return coarse.repeat(5, 0)[:n_frames].repeat(4, 1).repeat(4, 2).astype(np.uint8)


def make_movie() -> np.ndarray:
    movie = make_stimulus().copy()
    half = N_FRAMES // 2
    noise = np.random.default_rng(1).integers(0, 256, movie[half:].shape)
    movie[half:] = noise
    return movie


def make_cells(plane: int) -> roi_set.RoiSet:
    def square(place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, cols = np.mgrid[5:9, 10 * place + 2 : 10 * place + 6].reshape(2, -1)
        return rows, cols, 1.0 + np.arange(len(rows))

    ids = ROI_IDS[plane]
    return roi_set.build_roi_set(
        np.array(ids), FIELD_SHAPE, [square(i) for i in range(len(ids))]
    )


def make_template(plane: int) -> np.ndarray:
    return np.random.default_rng(plane).random(FIELD_SHAPE).astype(np.float32)


def record_session(
    folder: Path, n_planes: int = 1, stimulus: bool = True, **changes: object
) -> Path:
    """Record the session as the daemon does; return its folder."""
    about = make_about(n_planes, **changes)
    recorder = Recorder(folder, about)
    wall_s = _find_first_frame_wall_s(recorder)
    images, movie = make_stimulus(), make_movie()
    for i in range(N_FRAMES):
        for plane in range(n_planes):
            recorder.add_frame(make_frame_row(i, plane, wall_s), make_traces(i, plane))
        activity = _list_roi_ids(n_planes).astype(np.float32)
        recorder.add_activity(ActivityRow(i, i), activity)
        if stimulus:
            clip = CLIPS[max(start for start in CLIPS if start <= i)]
            recorder.add_stimulus(i, images[i], clip)
        if about.has_photodiode:
            recorder.add_onset(make_onset(i))
        _add_hop(recorder, i, movie, wall_s)
    recorder.close()
    assert recorder.failure is None
    assert not recorder.n_lost
    for plane in range(n_planes):
        masks = make_cell_masks(make_cells(plane), Settings().traces)
        reference = PlaneReference(make_template(plane), masks, make_template(plane))
        field = StoredField(make_cells(plane), None)
        save_reference(get_reference_path(recorder.path, plane), reference, field)
    return recorder.path


def make_about(n_planes: int = 1, **changes: object):
    settings = Settings(subject=SUBJECT, experiment=EXPERIMENT, closed_loop=CLOSED_LOOP)
    ids = _list_roi_ids(n_planes).tolist()
    planes = [plane for plane in range(n_planes) for _ in ROI_IDS[plane]]
    defaults = {
        "settings": json.loads(config.dump(settings)),
        "roi_ids": ids,
        "neuron_ids": ids,
        "roi_planes": planes if n_planes > 1 else [],
        "rejection_reasons": ["", "light leak"],
        "meta": {"source": "a test"},
    }
    return session_tables.make_about(**(defaults | changes))


def make_onset(i: int) -> OnsetRow:
    """Picture i appears 40 ms late; the screen loses every fiftieth one."""
    sent_s = T0_S + i / RATE_HZ
    return OnsetRow(sent_s, math.nan if i % 50 == 0 else sent_s + 0.04)


def make_traces(i: int, plane: int = 0) -> tuple[np.ndarray, ...]:
    values = np.full(len(ROI_IDS[plane]), i, np.float32)
    return values, values / 2, -values


def make_spread(i: int) -> np.ndarray:
    """uint8 (ages + 1, 36, 64): sd of frame i by age, and that of the prior."""
    ages = np.arange(WINDOW // HOP + 1, dtype=np.uint8)[:, None, None]
    return np.zeros((1, 36, 64), np.uint8) + 10 * ages + np.uint8(i % 7)


def _list_roi_ids(n_planes: int) -> np.ndarray:
    return np.array([i for plane in range(n_planes) for i in ROI_IDS[plane]])


def _find_first_frame_wall_s(recorder: Recorder) -> float:
    """When the first frame was received: a second after recording began."""
    return recorder.path.stat().st_ctime + 1.0


def make_frame_row(i: int, plane: int = 0, wall_s: float = 0.0) -> FrameRow:
    received_s = wall_s + i / RATE_HZ
    return FrameRow(
        frame=i if i < FIRST_FRAME_AFTER_LOSS else i + 3,
        seq=i,
        t_microscope_s=T0_S + i / RATE_HZ,
        t_sent_s=received_s - 0.001,
        t_received_s=received_s,
        shift_y_px=0.5 * i,
        shift_x_px=-float(i),
        confidence=0.9,
        is_accepted=i not in REJECTED_FRAMES,
        latency_ms=3.0,
        plane=plane,
        rejection_reason=int(i in REJECTED_FRAMES),
    )


def _add_hop(recorder: Recorder, i: int, movie: np.ndarray, wall_s: float) -> None:
    """Record a behavior sample, and at every hop a movie, its quality and events."""
    speed = 2.0 if i % 2 else None
    t_s = T0_S + i / RATE_HZ
    recorder.add_behavior(
        messages.BehaviorSample(
            session="s", seq=i, t=t_s, pupil_dilation=40.0, running_speed=speed
        )
    )
    if i % HOP != HOP - 1 or i < WINDOW:
        return
    window = range(i + 1 - WINDOW, i + 1)
    received_s = wall_s + i / RATE_HZ
    message = session_tables.make_movie_message(
        i,
        t_frame=received_s,
        t=received_s + 0.15,
        information_fraction=[
            0.5 if frame in HALF_INFORMED else 1.0 for frame in window
        ],
    )
    recorder.add_movie(message, movie[window.start : window.stop])
    good = i < N_FRAMES // 2
    sd = make_spread(i)
    recorder.add_spread(
        messages.Spread(
            session="s",
            seq=i,
            t=received_s,
            encoder_frame=i,
            hop_frames=HOP,
            shape=sd.shape,
            sd=float(sd[-2].mean()),
            data_share=0.5,
        ),
        sd,
    )
    recorder.add_quality(
        messages.Quality(
            session="s",
            seq=i,
            t=received_s,
            encoder_frame=i,
            lag_s=0.2,
            metrics={
                "activity_correlation": 0.4 if good else 0.1,
                "null_activity_correlation": 0.02,
                "null_visual_field_correlation": 0.03,
                "mean_frame_visual_field_correlation": 0.12,
                "identification": 0.85,
                "null_identification": 0.05,
            },
            shape=VISUAL_FIELD.shape,
            visual_field=encode_visual_field(VISUAL_FIELD),
        )
    )
    if i > N_FRAMES - HOP:
        event = messages.Event(
            session="s", seq=0, t=received_s, name="mark", message="eyes closed"
        )
        recorder.add_event(event)
    for rule, late_s in REACTION_S.items():
        recorder.add_event(
            messages.Event(
                session="s",
                seq=0,
                t=received_s + late_s * (1 + i / N_FRAMES),
                name="reaction",
                rule=rule,
                t_frame=received_s,
            )
        )
