"""Headers of the messages that the daemon publishes of neurons in a dish.

One of each kind per picture and plane (stage position). Positions are pixels of the
registered picture, from 0.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from rtrecon.protocol.fields import Count, describe
from rtrecon.protocol.published_header import PublishedHeader

MAX_NEURONS = 400  # in the header of `dish`: those with the longest neurites
MAX_ROWS = 20_000  # of the tables of bodies and contacts
NOT_CLAIMED, LOOSE = 65534, 65535  # values of the image of owners that are no neuron
BODY_COLUMNS = (
    "number",
    "y_px",
    "x_px",
    "area_um2",
    "brightness",
    "length_um",
    "tips",
    "partners",
    "is_confirmed",
)
CONTACT_COLUMNS = (
    "id",
    "y_px",
    "x_px",
    "first",
    "second",
    "is_on_body",
    "is_confirmed",
    "first_picture",
    "last_picture",
    "sightings",
)


class NeuronFigures(msgspec.Struct, frozen=True):
    """Figures of one neuron in one picture."""

    length_um: Annotated[float, describe("Length of its neurites.", "um")]
    tips: Annotated[int, describe("Free ends of its neurites.")]
    partners: Annotated[int, describe("Neurons that it touches.")]


class _DishHeader(PublishedHeader, frozen=True, kw_only=True):
    """Fields of every message of a dish."""

    frame: Annotated[int, describe("The microscope's counter of this frame.")]
    picture: Annotated[
        int, describe("Index of the picture since the session began, from 0.")
    ]
    t_microscope: Annotated[
        float, describe("Time of the frame on the microscope's clock.", "s")
    ]
    t_frame: Annotated[
        float, describe("When it was received, on the daemon's wall clock.", "s")
    ]
    plane: Annotated[int, describe("Index of the plane (stage position), from 0.")] = 0


class DishCounts(_DishHeader, frozen=True, kw_only=True, tag="dish"):
    """Counts of one picture of neurons in a dish."""

    bodies: Annotated[int, describe("Cell bodies in the field.")]
    contacts: Annotated[
        int, describe("Touches of two neurons that were seen often enough.")
    ]
    provisional_contacts: Annotated[
        int, describe("Touches that were not seen often enough yet.")
    ]
    branch_points: Annotated[int, describe("Branching points of neurites.")]
    length_mm: Annotated[float, describe("Length of all neurites.", "mm")]
    length_mm_per_mm2: Annotated[
        float, describe("Length of all neurites per area.", "mm/mm2")
    ]
    branch_points_per_mm2: Annotated[
        float, describe("Branching points per area.", "1/mm2")
    ]
    area_mm2: Annotated[
        float, describe("Area of the field that the picture shows.", "mm2")
    ]
    new_contacts: Annotated[int, describe("Touches confirmed by this picture.")] = 0
    lost_contacts: Annotated[int, describe("Touches that are over.")] = 0
    retractions: Annotated[int, describe("Neurons that retract neurites.")] = 0
    new_bodies: Annotated[int, describe("Bodies that have appeared.")] = 0
    deaths: Annotated[int, describe("Bodies that have disappeared.")] = 0
    is_traced: Annotated[
        bool,
        describe(
            "Whether the picture was traced; if not, the counts are those of the "
            "picture before."
        ),
    ] = True
    is_out_of_focus: Annotated[
        bool, describe("Whether the picture is out of focus.")
    ] = False
    notices: Annotated[
        list[str], describe("Sentences on what is wrong with the picture.")
    ] = msgspec.field(default_factory=list)
    is_dense: Annotated[
        bool,
        describe(
            "Whether the culture is too dense to tell whose a neurite is; there are "
            "no contacts then."
        ),
    ] = False
    neuron: Annotated[
        dict[str, NeuronFigures],
        describe(
            f"Figures of the neurons by number; of at most {MAX_NEURONS}, those with "
            "the longest neurites."
        ),
    ] = msgspec.field(default_factory=dict)


class DishBodies(_DishHeader, frozen=True, kw_only=True, tag="bodies"):
    """The cell bodies of one picture: payload float32 [bodies, columns]."""

    shape: Annotated[tuple[Count, Count], describe("Size of the payload.")]
    columns: Annotated[
        tuple[str, ...],
        describe(f"Names of the columns: {', '.join(BODY_COLUMNS)}."),
    ] = BODY_COLUMNS


class DishContacts(_DishHeader, frozen=True, kw_only=True, tag="contacts"):
    """The touches of neurons in one picture: payload float32 [touches, columns]."""

    shape: Annotated[tuple[Count, Count], describe("Size of the payload.")]
    columns: Annotated[
        tuple[str, ...],
        describe(f"Names of the columns: {', '.join(CONTACT_COLUMNS)}."),
    ] = CONTACT_COLUMNS


class DishTrace(_DishHeader, frozen=True, kw_only=True, tag="trace"):
    """Whose each pixel is: payload uint16 [lines, pixels].

    0 is no neurite and no body, 65534 is where nothing is claimed, 65535 a neurite
    that belongs to no body; any other value is the number of a neuron.
    """

    shape: Annotated[tuple[int, int], describe("Size of the payload.", "px")]
    downsampling: Annotated[
        int, describe("Camera pixels per pixel of the payload, along each side.", "px")
    ] = 1
