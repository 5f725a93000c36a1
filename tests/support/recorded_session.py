"""A recorded session with everything in it, whose every number is known.

Frame i has i in its traces. In the first half of the session the movie is what was
shown, in the second it is noise.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rtrecon import config
from rtrecon.config import ExperimentSettings, ReactSettings, Settings, SubjectSettings
from rtrecon.imaging.reference import Known, Reference
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.protocol import messages
from rtrecon.rois import roi_set
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import reference_file, save_reference
from rtrecon.session.tables import ActivityRow, FrameRow
from tests.support import session_tables

FIELD = (40, 50)
IDS = {0: [7, 3, 12], 1: [20, 21]}  # of each plane
N_FRAMES, RATE_HZ = 336, 30.0
WINDOW, HOP = session_tables.WINDOW, session_tables.HOP
T0_S = 50.0  # of the first frame, on the microscope's clock
UNTRUSTED = range(40, 45)
REACT = ReactSettings.model_validate(
    {
        "rules": [
            {"name": "loud", "when": "mean(activity[7, 3]) > 2"},
            {"name": "grating seen", "when": "similarity(grating) > 0.3"},
        ],
        "targets": {"grating": "grating.mp4"},
    }
)
REACTION_S = {"loud": 0.004, "grating seen": 0.15}  # from a frame to the rule's event
HALF_TOLD = range(150, 180)  # half of the activity that tells of these is lost
LOST_BEFORE = 100  # three frames are missing from the microscope's counter
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


def shown(n_frames: int = N_FRAMES) -> np.ndarray:
    """uint8 (n, 36, 64): patches that change every five frames."""
    coarse = np.random.default_rng(0).integers(0, 256, (n_frames // 5 + 1, 9, 16))
    return coarse.repeat(5, 0)[:n_frames].repeat(4, 1).repeat(4, 2).astype(np.uint8)


def made() -> np.ndarray:
    movie = shown().copy()
    half = N_FRAMES // 2
    noise = np.random.default_rng(1).integers(0, 256, movie[half:].shape)
    movie[half:] = noise
    return movie


def cells(plane: int) -> roi_set.RoiSet:
    def square(place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, cols = np.mgrid[5:9, 10 * place + 2 : 10 * place + 6].reshape(2, -1)
        return rows, cols, 1.0 + np.arange(len(rows))

    ids = IDS[plane]
    return roi_set.from_pixels(
        np.array(ids), FIELD, [square(i) for i in range(len(ids))]
    )


def template(plane: int) -> np.ndarray:
    return np.random.default_rng(plane).random(FIELD).astype(np.float32)


def recorded(
    folder: Path, n_planes: int = 1, stimulus: bool = True, **changes: object
) -> Path:
    """Record the session as the daemon does; returns its folder."""
    recorder = Recorder(folder, _about(n_planes, **changes))
    wall_s = _wall_s(recorder)
    images, movie = shown(), made()
    for i in range(N_FRAMES):
        for plane in range(n_planes):
            values = np.full(len(IDS[plane]), i, np.float32)
            recorder.frame(_frame_row(i, plane, wall_s), (values, values / 2, -values))
        recorder.activity(ActivityRow(i, i), _ids(n_planes).astype(np.float32))
        if stimulus:
            clip = CLIPS[max(start for start in CLIPS if start <= i)]
            recorder.stimulus(i, images[i], clip)
        _tell(recorder, i, movie, wall_s)
    recorder.close()
    assert recorder.failure is None
    assert not recorder.lost
    for plane in range(n_planes):
        masks = with_rings(cells(plane), Settings().traces)
        reference = Reference(template(plane), masks, template(plane))
        known = Known(cells(plane), None)
        save_reference(reference_file(recorder.path, plane), reference, known)
    return recorder.path


def _about(n_planes: int, **changes: object):
    settings = Settings(subject=SUBJECT, experiment=EXPERIMENT, react=REACT)
    ids = _ids(n_planes).tolist()
    planes = [plane for plane in range(n_planes) for _ in IDS[plane]]
    known = {
        "settings": json.loads(config.dump(settings)),
        "roi_ids": ids,
        "neuron_ids": ids,
        "roi_planes": planes if n_planes > 1 else [],
        "reasons": ["", "light leak"],
        "meta": {"source": "a test"},
    }
    return session_tables.about(**(known | changes))


def _ids(n_planes: int) -> np.ndarray:
    return np.array([i for plane in range(n_planes) for i in IDS[plane]])


def _wall_s(recorder: Recorder) -> float:
    """When the first frame was received: a second after recording began."""
    return recorder.path.stat().st_ctime + 1.0


def _frame_row(i: int, plane: int, wall_s: float) -> FrameRow:
    received_s = wall_s + i / RATE_HZ
    return FrameRow(
        frame=i if i < LOST_BEFORE else i + 3,
        seq=i,
        t=T0_S + i / RATE_HZ,
        t_send=received_s - 0.001,
        t_received=received_s,
        shift_y_px=0.5 * i,
        shift_x_px=-float(i),
        confidence=0.9,
        trusted=i not in UNTRUSTED,
        latency_ms=3.0,
        plane=plane,
        reason=int(i in UNTRUSTED),
    )


def _tell(recorder: Recorder, i: int, movie: np.ndarray, wall_s: float) -> None:
    """Give behaviour, and every hop a movie, what it is worth and an event."""
    speed = 2.0 if i % 2 else None
    t_s = T0_S + i / RATE_HZ
    recorder.behavior(
        messages.Behavior(
            session="s", seq=i, t=t_s, pupil_dilation=40.0, running_speed=speed
        )
    )
    if i % HOP != HOP - 1 or i < WINDOW:
        return
    window = range(i + 1 - WINDOW, i + 1)
    received_s = wall_s + i / RATE_HZ
    message = session_tables.movie(
        i,
        t_frame=received_s,
        t=received_s + 0.15,
        information_fraction=[0.5 if frame in HALF_TOLD else 1.0 for frame in window],
    )
    recorder.movie(message, movie[window.start : window.stop])
    good = i < N_FRAMES // 2
    recorder.quality(
        messages.Quality(
            session="s",
            seq=i,
            t=received_s,
            index=i,
            lag=0.2,
            activity_correlation=0.4 if good else 0.1,
            null_correlation=0.02,
        )
    )
    if i > N_FRAMES - HOP:
        event = messages.Event(
            session="s", seq=0, t=received_s, name="mark", message="eyes closed"
        )
        recorder.event(event)
    for rule, late_s in REACTION_S.items():
        recorder.event(
            messages.Event(
                session="s",
                seq=0,
                t=received_s + late_s * (1 + i / N_FRAMES),
                name="reaction",
                rule=rule,
                t_frame=received_s,
            )
        )
