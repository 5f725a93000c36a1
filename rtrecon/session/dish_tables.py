"""The tables of a session of neurons in a dish: their rows, one kind per table.

Positions are pixels of the registered picture, from 0. `picture` counts the pictures of
a plane since the session began, from 0.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from rtrecon.protocol.fields import describe


class DishKey(msgspec.Struct, frozen=True):
    """Columns of every table of a dish: which picture a row belongs to."""

    picture: Annotated[int, describe("Index of the picture since the session began.")]
    frame: Annotated[int, describe("The microscope's frame counter.")]
    plane: Annotated[int, describe("Index of the plane (stage position), from 0.")]
    t_microscope_s: Annotated[float, describe("Time on the microscope's clock.", "s")]


class DishRow(DishKey, frozen=True):
    """Counts of one picture of neurons in a dish."""

    bodies: Annotated[int, describe("Cell bodies.")]
    contacts: Annotated[int, describe("Touches that were seen often enough.")]
    provisional_contacts: Annotated[int, describe("Touches seen too rarely yet.")]
    branch_points: Annotated[int, describe("Branching points of neurites.")]
    length_um: Annotated[float, describe("Length of all neurites.", "um")]
    area_mm2: Annotated[
        float, describe("Area of the field that the picture shows.", "mm2")
    ]
    is_traced: Annotated[
        bool, describe("1 if the picture was traced; 0 repeats the picture before.")
    ]
    is_out_of_focus: Annotated[bool, describe("1 if the picture is out of focus.")]
    is_dense: Annotated[
        bool, describe("1 if it is too dense to tell whose a neurite is.")
    ]


class DishBodyRow(DishKey, frozen=True):
    """One cell body in one picture."""

    number: Annotated[int, describe("Number of the neuron.")]
    y_px: Annotated[float, describe("Vertical position.", "px")]
    x_px: Annotated[float, describe("Horizontal position.", "px")]
    area_um2: Annotated[float, describe("Area of the body.", "um2")]
    brightness: Annotated[float, describe("Brightness.", "s.d. of the noise")]
    length_um: Annotated[float, describe("Length of its neurites.", "um")]
    tips: Annotated[int, describe("Free ends of its neurites.")]
    partners: Annotated[int, describe("Neurons that it touches.")]
    is_confirmed: Annotated[bool, describe("1 if it was seen often enough.")]


class DishContactRow(DishKey, frozen=True):
    """One touch of two neurons in one picture."""

    id: Annotated[int, describe("Number of the touch.")]
    y_px: Annotated[float, describe("Vertical position.", "px")]
    x_px: Annotated[float, describe("Horizontal position.", "px")]
    first: Annotated[int, describe("Number of one neuron.")]
    second: Annotated[int, describe("Number of the other neuron.")]
    is_on_body: Annotated[bool, describe("1 if a neurite touches a body.")]
    is_confirmed: Annotated[bool, describe("1 if it was seen often enough.")]
    first_picture: Annotated[int, describe("Picture in which it was first seen.")]
    last_picture: Annotated[int, describe("Picture in which it was last seen.")]
    sightings: Annotated[int, describe("Pictures in which it was seen.")]


class DishEventRow(DishKey, frozen=True):
    """One event in a dish."""

    kind: Annotated[int, describe("What happened: index into `dish.event_kinds`.")]
    start_picture: Annotated[int, describe("Picture in which it began.")]
    y_px: Annotated[float, describe("Vertical position; NaN without one.", "px")]
    x_px: Annotated[float, describe("Horizontal position; NaN without one.", "px")]
    first: Annotated[int, describe("Number of the neuron; 0 without one.")]
    second: Annotated[int, describe("Number of the other neuron; 0 without one.")]


class DishTraceRow(DishKey, frozen=True):
    """Whose each pixel of one picture is."""
