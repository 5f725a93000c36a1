"""Scores a traced film of a dish against the truth of its simulation.

Precision of touches forgives pairs within 6.5 px, which no eye separates; recall asks
for those that touch (3 px).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from rtrecon.core.types import Array
from rtrecon.dish.contact_finder import CONTACT_DTYPE
from rtrecon.dish.contact_tracker import ContactTracker
from rtrecon.dish.dish_frame import LOOSE, DishFrame
from rtrecon.dish.events import DishEventKind
from rtrecon.simulate.dish.truth import DishTruth

BODY_REACH_PX, LINE_REACH_PX = 8.0, 3.0
CONTACT_REACH_PX, NEAR_REACH_PX = 16.0, 18.0
EVENT_REACH_PX, EVENT_LATE_FRAMES, EVENT_EARLY_FRAMES = 25.0, 6, 12
_TRUE_SIGHTINGS, _TRUE_GAP = 3, 4  # frames of a true touch that counts as an event
_FIRST_LENGTH_FRAME, _MIN_LENGTH_PX, _BORDER_PX = 5, 40.0, 4


@dataclass
class DishScore:
    """Counts over the frames of one film, or of several; `report` makes figures."""

    um_per_px: float
    body_hits: Array = field(default_factory=lambda: np.zeros(3))
    links: Array = field(default_factory=lambda: np.zeros(2))
    line_hits: Array = field(default_factory=lambda: np.zeros(4))
    owner_hits: Array = field(default_factory=lambda: np.zeros(2))
    contact_hits: Array = field(default_factory=lambda: np.zeros(4))
    pair_hits: Array = field(default_factory=lambda: np.zeros(4))
    event_hits: Array = field(default_factory=lambda: np.zeros(4))
    total_errors: list[float] = field(default_factory=list)
    neuron_errors: list[float] = field(default_factory=list)
    late_frames: list[int] = field(default_factory=list)

    def report(self) -> dict[str, float]:
        """Return the figures."""
        lines, contacts = self.line_hits, self.contact_hits
        pairs, events = self.pair_hits, self.event_hits
        figures = {
            "body_precision": _divide(self.body_hits[0], self.body_hits[1]),
            "body_recall": _divide(self.body_hits[0], self.body_hits[2]),
            "body_link": _divide(*self.links),
            "total_length_error": _median(np.abs(self.total_errors)),
            "total_length_bias": _median(self.total_errors),
            "length_per_neuron_error": _median(self.neuron_errors),
            "centreline_precision": _divide(lines[0], lines[1]),
            "centreline_recall": _divide(lines[2], lines[3]),
            "owner_share": _divide(*self.owner_hits),
            "contact_precision": _divide(contacts[0], contacts[1]),
            "contact_recall": _divide(contacts[2], contacts[3]),
            "pair_precision": _divide(pairs[0], pairs[1]),
            "pair_recall": _divide(pairs[2], pairs[3]),
            "event_precision": _divide(events[0], events[1]),
            "event_recall_6_frames": _divide(events[2], events[3]),
            "event_late_frames": _median(self.late_frames),
        }
        return {name: round(float(value), 4) for name, value in figures.items()}

    def add(self, other: DishScore) -> None:
        """Include the counts of another film."""
        for name, value in vars(other).items():
            if name != "um_per_px":
                setattr(self, name, getattr(self, name) + value)


class FilmScorer:
    """Scores one film, frame by frame."""

    def __init__(self, um_per_px: float) -> None:
        self.score = DishScore(um_per_px)
        self._last: dict[int, int] = {}
        self._names: dict[int, int] = {}  # number of the tracing -> true number
        self._near: dict[int, Array] = {}
        self._events: list[tuple[int, float, float, int, int]] = []
        self._truth = ContactTracker(_TRUE_SIGHTINGS, _TRUE_GAP)
        self._true_events: list[tuple[int, float, float, int, int]] = []

    def add_frame(self, frame: DishFrame, truth: DishTruth) -> None:
        """Compare a traced picture with its truth."""
        self._follow_truth(frame.frame, truth)
        if not frame.is_traced:
            return
        names = self._match_bodies(frame, truth)
        self._names.update(names)
        self._score_lines(frame, truth, names)
        self._score_lengths(frame, truth, names)
        self._score_contacts(frame, truth, names)
        self._events += [
            (event.frame, event.y, event.x, event.first, event.second)
            for event in frame.events
            if event.kind is DishEventKind.CONTACT
        ]

    def finish(self) -> DishScore:
        """Score the events, and return all counts."""
        self._score_events()
        return self.score

    def _follow_truth(self, k: int, truth: DishTruth) -> None:
        self._near[k] = np.concatenate([truth.touches, truth.near])
        touches = np.zeros(len(truth.touches), CONTACT_DTYPE)
        for column, name in enumerate(("y", "x", "first", "second")):
            touches[name] = truth.touches[:, column]
        for event in self._truth.update(k, touches):
            if event.kind is DishEventKind.CONTACT:
                self._true_events.append(
                    (event.start_frame, event.y, event.x, event.first, event.second)
                )

    def _match_bodies(self, frame: DishFrame, truth: DishTruth) -> dict[int, int]:
        found = np.column_stack([frame.bodies["y"], frame.bodies["x"]])
        rows, cols = match_points(truth.bodies[:, 1:3], found, BODY_REACH_PX)
        score = self.score
        score.body_hits += (len(rows), len(found), len(truth.bodies))
        numbers = frame.bodies["number"]
        now = {
            int(truth.bodies[i, 0]): int(numbers[j])
            for i, j in zip(rows, cols, strict=True)
        }
        both = [true for true in now if true in self._last]
        n_same = sum(self._last[true] == now[true] for true in both)
        score.links += (n_same, len(both))
        self._last.update(now)
        return {found: true for true, found in now.items()}

    def _score_lines(
        self, frame: DishFrame, truth: DishTruth, names: dict[int, int]
    ) -> None:
        is_line = (frame.owners > 0) & ~frame.is_body
        shape = frame.owners.shape
        true = truth.centerlines
        inside = ((true[:, :2] > _BORDER_PX) & (true[:, :2] < np.array(shape) - 5)).all(
            1
        )
        true = true[inside]
        rows, cols = np.nonzero(is_line & (frame.owners != LOOSE))
        in_field = (np.minimum(rows, cols) > _BORDER_PX) & (rows < shape[0] - 5)
        in_field &= cols < shape[1] - 5
        rows, cols = rows[in_field], cols[in_field]
        if not len(true) or not len(rows):
            self.score.line_hits += (0, len(rows), 0, len(true))
            return
        away = distance_transform_edt(~(is_line & (frame.owners != LOOSE)))
        at = tuple(np.rint(true[:, :2]).astype(int).T)
        n_recalled = (away[at] <= LINE_REACH_PX).sum()
        distance, nearest = cKDTree(true[:, :2]).query(np.column_stack([rows, cols]))
        is_near = distance <= LINE_REACH_PX
        self.score.line_hits += (is_near.sum(), len(rows), n_recalled, len(true))
        owners = frame.owners[rows[is_near], cols[is_near]].tolist()
        named = np.array([names.get(owner, -1) for owner in owners])
        is_right = named == true[nearest[is_near], 2]
        self.score.owner_hits += (is_right.sum(), is_near.sum())

    def _score_lengths(
        self, frame: DishFrame, truth: DishTruth, names: dict[int, int]
    ) -> None:
        if frame.frame < _FIRST_LENGTH_FRAME:
            return
        true_total = sum(truth.length_px.values()) * self.score.um_per_px
        found_total = frame.figures.length_um
        self.score.total_errors.append(found_total / true_total - 1)
        for body in frame.bodies:
            true_px = truth.length_px.get(names.get(int(body["number"]), -1), 0.0)
            if true_px > _MIN_LENGTH_PX:
                true_um = true_px * self.score.um_per_px
                self.score.neuron_errors.append(abs(body["length_um"] / true_um - 1))

    def _score_contacts(
        self, frame: DishFrame, truth: DishTruth, names: dict[int, int]
    ) -> None:
        found = _name_contacts(frame.confirmed_contacts, names)
        near = self._near[frame.frame]
        n_real = sum(_has_near(row, near, NEAR_REACH_PX) for row in found)
        n_recalled = 0
        for pair in np.unique(truth.touches[:, 2:], axis=0):
            true = truth.touches[(truth.touches[:, 2:] == pair).all(1), :2]
            mine = found[(found[:, 2:] == pair).all(1), :2]
            n_recalled += len(match_points(true, mine, CONTACT_REACH_PX)[0])
        self.score.contact_hits += (n_real, len(found), n_recalled, len(truth.touches))
        pairs, true_pairs = _list_pairs(found), _list_pairs(truth.touches)
        n_right = len(pairs & _list_pairs(near))
        n_pairs = (n_right, len(pairs), len(pairs & true_pairs), len(true_pairs))
        self.score.pair_hits += n_pairs

    def _score_events(self) -> None:
        named = [
            (k, (y, x), sorted((self._names.get(i, -1), self._names.get(j, -2))))
            for k, y, x, i, j in self._events
        ]
        n_real = sum(
            _has_near(np.array([*place, *pair]), self._near[k], NEAR_REACH_PX + 2)
            for k, place, pair in named
        )
        used: set[int] = set()
        for true in self._true_events:
            late = {
                n: k - true[0]
                for n, (k, (y, x), pair) in enumerate(named)
                if n not in used
                and tuple(pair) == true[3:]
                and np.hypot(y - true[1], x - true[2]) < EVENT_REACH_PX
                and -EVENT_EARLY_FRAMES <= k - true[0] <= EVENT_LATE_FRAMES
            }
            if late:
                best = min(late, key=lambda n: abs(late[n]))
                used.add(best)
                self.score.late_frames.append(late[best])
        n_true = len(self._true_events)
        self.score.event_hits += (n_real, len(named), len(used), n_true)


def match_points(true: Array, found: Array, reach_px: float) -> tuple[Array, Array]:
    """Return indices of true and found points that match one to one within reach."""
    if not len(true) or not len(found):
        return np.zeros(0, int), np.zeros(0, int)
    away = np.hypot(*(true[:, None] - found[None]).transpose(2, 0, 1))
    rows, cols = linear_sum_assignment(np.where(away < reach_px, away, 1e6))
    is_near = away[rows, cols] < reach_px
    return rows[is_near], cols[is_near]


def _name_contacts(contacts: Array, names: dict[int, int]) -> Array:
    """Return (n, 4) y, x and true numbers, the smaller first; -1 if unknown."""
    rows = [
        (
            c["y"],
            c["x"],
            *sorted(names.get(int(c[side]), -1) for side in ("first", "second")),
        )
        for c in contacts
    ]
    return np.array(rows, float).reshape(-1, 4)


def _has_near(contact: Array, true: Array, reach_px: float) -> bool:
    is_pair = (true[:, 2:] == contact[2:]).all(1)
    away = np.hypot(true[:, 0] - contact[0], true[:, 1] - contact[1])
    return bool((is_pair & (away < reach_px)).any())


def _list_pairs(contacts: Array) -> set[tuple[float, ...]]:
    return {tuple(row) for row in contacts[:, 2:].tolist()}


def _divide(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _median(values: Sequence[float] | Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")
