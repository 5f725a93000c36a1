"""What the tracing of one picture returns: tables, and images of owners and claims."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtrecon.core.types import Array
from rtrecon.dish.contact_tracker import TRACKED_CONTACT_DTYPE
from rtrecon.dish.events import DishEvent

LOOSE = 65535  # owner of a neurite that hangs together with no body
BODY_DTYPE = np.dtype(
    [
        ("number", np.int64),
        ("y", float),
        ("x", float),
        ("area_um2", float),
        ("brightness", float),
        ("length_um", float),
        ("n_tips", np.int64),
        ("n_partners", np.int64),
        ("is_confirmed", bool),
    ]
)
SEGMENT_DTYPE = np.dtype(
    [
        ("owner", np.int64),
        ("length_um", float),
        ("y", float),
        ("x", float),
        ("is_end", bool),
    ]
)


@dataclass(frozen=True)
class DishFigures:
    """Counts of one picture.

    area_mm2: of the part of the field that counts. length_um: of all neurites, also of
    loose ones. n_contacts: confirmed touches.
    """

    n_bodies: int = 0
    n_contacts: int = 0
    n_branch_points: int = 0
    length_um: float = 0.0
    area_mm2: float = 0.0

    @property
    def length_mm_per_mm2(self) -> float:
        """Return the density of neurites."""
        return 1e-3 * self.length_um / self.area_mm2 if self.area_mm2 else 0.0

    @property
    def branch_points_per_mm2(self) -> float:
        """Return the density of branching points."""
        return self.n_branch_points / self.area_mm2 if self.area_mm2 else 0.0


@dataclass(frozen=True)
class DishFrame:
    """The traced picture number `frame`, from 0. Positions are px of the picture.

    bodies: BODY_DTYPE. segments: SEGMENT_DTYPE, the pieces between junctions. contacts:
    TRACKED_CONTACT_DTYPE, confirmed and provisional touches. events: what is new.
    owners: uint16 (lines, pixels): number of the neuron at bodies and neurites, 65535
    at loose neurites, 0 elsewhere. is_body: bool (lines, pixels). is_claimed: bool
    (lines, pixels), False where nothing is claimed. notices: sentences for the user;
    where is_traced is False, the first gives the reason, and all tables are those of
    the frame before.
    is_dense: too dense for owners; only `figures` count.
    """

    frame: int
    t_s: float
    bodies: Array
    segments: Array
    contacts: Array
    events: tuple[DishEvent, ...]
    figures: DishFigures
    owners: Array
    is_body: Array
    is_claimed: Array
    is_traced: bool = True
    is_dense: bool = False
    notices: tuple[str, ...] = field(default=())

    @property
    def confirmed_contacts(self) -> Array:
        """Return the touches that were seen often enough."""
        return self.contacts[self.contacts["is_confirmed"]]


def make_empty_frame(shape: tuple[int, int]) -> DishFrame:
    """Return a frame of a picture of this shape in which nothing was traced yet."""
    return DishFrame(
        frame=0,
        t_s=0.0,
        bodies=np.zeros(0, BODY_DTYPE),
        segments=np.zeros(0, SEGMENT_DTYPE),
        contacts=np.zeros(0, TRACKED_CONTACT_DTYPE),
        events=(),
        figures=DishFigures(),
        owners=np.zeros(shape, np.uint16),
        is_body=np.zeros(shape, bool),
        is_claimed=np.zeros(shape, bool),
        is_traced=False,
    )
