"""Training from one of our own recorded sessions whose stimulus is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import LIVE_UNITS
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.rois import roi_set
from rtrecon.session.resume_state import load_reference, reference_file
from rtrecon.session.session import NotARecording, Session
from rtrecon.training.calibration import Report
from rtrecon.training.compact.fit import Recipe
from rtrecon.training.split import SETTLE_FRAMES, keep_last, validation_frames
from rtrecon.training.train import FROM_NOTHING, Start, prepare, train_material
from rtrecon.training.training_data import (
    Material,
    Neurons,
    Stretch,
    Stretches,
    gather,
    with_meta,
)


def train_recorded(
    path: Path,
    recipe: Recipe,
    out: Path,
    report: Report,
    start: Start = FROM_NOTHING,
) -> Checkpoint:
    """Fit, calibrate and save an encoder of a session's neurons at `out`."""
    prepare(out, recipe, start)
    return train_material(read_material(path), recipe, out, report, start)


def read_material(path: Path) -> Material:
    """Read a session's folder; UserError where it cannot be trained on.

    The last tenth of the frames is kept for validation. Lost activity is left out;
    so are frames whose stimulus is not known, and the session's first ten seconds.
    """
    session = _opened(path)
    stretches = list(_stretches(session))
    n_frames = sum(map(len, stretches))
    first, last = keep_last(stretches, validation_frames(n_frames))
    if not first:
        raise UserError(
            f"{path} knows the stimulus of {n_frames} frames, too few to train on; "
            "record a session of minutes, and send its stimulus"
        )
    material = gather(
        Stretches(first, n_frames), Stretches(last, n_frames), _neurons(session)
    )
    about = session.about
    return with_meta(
        material,
        None,
        units=about.rates_in or LIVE_UNITS,
        rate_hz=about.encoder_rate_hz,
        traces=about.settings.get("traces", {}),
        session=path.resolve().name,
    )


def _opened(path: Path) -> Session:
    try:
        session = Session(path)
    except NotARecording as error:
        raise UserError(str(error)) from None
    if not session.about.neuron_ids:
        raise UserError(f"{path} has no neurons; record one with masks")
    if tuple(session.about.image_shape) != SHAPE:
        raise UserError(
            f"{path} has a stimulus of {session.about.image_shape} px, but the encoder "
            f"sees {SHAPE}; send it at that size"
        )
    return session


def _stretches(session: Session) -> Iterator[Stretch]:
    """Yield runs of frames of which both activity and stimulus are known."""
    activity, stimulus = session.activity, session.stimulus
    heard = activity["index"].astype(np.int64)
    shown = stimulus["index"].astype(np.int64)
    settled = heard[heard >= heard.min(initial=0) + SETTLE_FRAMES]
    told = session.behaved()
    for run in _runs(np.intersect1d(settled, shown)):
        at_activity = _rows(heard, run)
        at_stimulus = _rows(shown, run)
        yield Stretch(
            movie=stimulus.values(at_stimulus.start, at_stimulus.stop),
            behavior=told[at_activity],
            activity=activity.values(at_activity.start, at_activity.stop),
        )


def _runs(indices: Array) -> list[Array]:
    """Cut increasing indices where one is left out."""
    if not len(indices):
        return []
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)


def _rows(indices: Array, run: Array) -> slice:
    first, last = np.searchsorted(indices, (run[0], run[-1]))
    return slice(int(first), int(last) + 1)


def _neurons(session: Session) -> Neurons:
    """Return the session's masks in the order of its activity, and its templates."""
    if session.about.rates_in:
        units = roi_set.on_a_line(np.array(session.about.neuron_ids))
        return Neurons(units, np.zeros((1, *units.shape), np.float32))
    settings = config.parse(json.dumps(session.about.settings))
    n_planes = 1 + max(session.about.roi_planes, default=0)
    references = [
        load_reference(reference_file(session.path, plane), settings)[0]
        for plane in range(n_planes)
    ]
    pixels, planes = {}, {}
    for plane, reference in enumerate(references):
        cells = reference.masks.cells
        for roi_id, own in zip(cells.ids.tolist(), cells.pixels(), strict=True):
            pixels[roi_id], planes[roi_id] = own, plane
    ids = session.about.neuron_ids
    missing = [roi_id for roi_id in ids if roi_id not in pixels]
    if missing:
        raise UserError(
            f"{session.path} has activity of neuron {missing[0]}, but no mask of it"
        )
    shape = references[0].template.shape
    masks = roi_set.from_pixels(
        np.array(ids),
        (shape[0], shape[1]),
        [pixels[roi_id] for roi_id in ids],
        np.array([planes[roi_id] for roi_id in ids], np.int32),
    )
    return Neurons(masks, np.stack([reference.template for reference in references]))
