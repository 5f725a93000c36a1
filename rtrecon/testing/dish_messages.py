"""Messages of a session of neurons in a dish, as the daemon publishes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.protocol.dish_messages import BODY_COLUMNS, CONTACT_COLUMNS, NOT_CLAIMED

SIDE_PX, INTERVAL_S = 96, 600.0
_BODIES = {1: (20, 20), 2: (70, 70), 3: (24, 72)}  # number: y, x
_RADIUS_PX = 6.0


def generate_dish_messages(
    n_pictures: int, plane: int = 0
) -> Iterator[tuple[messages.PublishedMessage, Array]]:
    """Yield the messages of pictures in which neuron 1 grows towards neuron 2.

    They touch in the last picture; the first one is out of focus.
    """
    for picture in range(n_pictures):
        is_last = picture == n_pictures - 1
        owners = _draw_owners(picture / max(1, n_pictures - 1))
        header: dict[str, Any] = {"session": "dish", "seq": picture, "t": 1e9 + picture}
        key: dict[str, Any] = {"frame": picture + 1, "plane": plane}
        view = np.where(owners > 0, 200, 30).astype(np.uint8)[::2, ::2]
        field = messages.FieldImage(
            **header,
            **key,
            shape=view.shape,
            shift_px=(0.0, 0.0),
            confidence=0.9,
            downsampling=2,
        )
        yield field, view
        key |= {
            "picture": picture,
            "t_microscope": 100.0 + INTERVAL_S * picture,
            "t_frame": 1e9 + picture,
        }
        counts = messages.DishCounts(
            **header,
            **key,
            bodies=len(_BODIES),
            contacts=int(is_last),
            provisional_contacts=0,
            branch_points=0,
            length_mm=0.01 * picture,
            length_mm_per_mm2=2.0 * picture,
            branch_points_per_mm2=0.0,
            area_mm2=0.005,
            is_traced=picture > 0,
            notices=[] if picture else ["the picture is out of focus"],
        )
        yield counts, np.empty(0)
        bodies = np.zeros((len(_BODIES), len(BODY_COLUMNS)), np.float32)
        bodies[:, :3] = [(number, *place) for number, place in _BODIES.items()]
        yield messages.DishBodies(**header, **key, shape=bodies.shape), bodies
        contacts = np.zeros((int(is_last), len(CONTACT_COLUMNS)), np.float32)
        contacts[:, :7] = (1, 64, 64, 1, 2, 1, 1)
        yield messages.DishContacts(**header, **key, shape=contacts.shape), contacts
        yield messages.DishTrace(**header, **key, shape=owners.shape), owners
        if is_last:
            sentence = "neurons 1 and 2 touch"
            yield messages.Event(**header, name="contact", message=sentence), owners[:0]


def _draw_owners(share: float) -> Array:
    """Return owners in which the neurite of neuron 1 has grown by this share."""
    owners = np.zeros((SIDE_PX, SIDE_PX), np.uint16)
    owners[:, -8:] = NOT_CLAIMED
    tip = 20 + round(share * 44)
    diagonal = np.arange(20, tip + 1)
    owners[diagonal, diagonal] = 1
    rows = np.arange(SIDE_PX)[:, None]
    for number, (y, x) in _BODIES.items():
        owners[np.hypot(rows - y, np.arange(SIDE_PX) - x) <= _RADIUS_PX] = number
    return owners
