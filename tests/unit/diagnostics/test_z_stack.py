"""A stack is made from the frames of a microscope that steps through the tissue."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.diagnostics.z_stack import StackBuilder, StackPlan, write_stack
from rtrecon.protocol import messages
from rtrecon.sources.reference_stack import read_stack
from rtrecon.testing.synthetic_field import make_field

SHAPE, N_PLANES, N_FRAMES = (48, 48), 3, 4
PLAN = StackPlan(N_PLANES, N_FRAMES, 2.5)
WORLDS = [make_field(SHAPE, seed) for seed in range(N_PLANES)]


def make_start(planes: list[float] | None = None) -> messages.SessionStart:
    return messages.SessionStart(
        session="s",
        seq=0,
        source="scope",
        rate_hz=30.0,
        shape=SHAPE,
        dtype="int16",
        channels=[1],
        planes=planes or [0.0],
    )


def make_frame(number: int, plane: int = 0) -> messages.Frame:
    t_s = number / 30
    return messages.Frame(
        session="s",
        seq=number,
        t=t_s,
        t_send=t_s,
        frame=100 + number,
        shape=SHAPE,
        plane=plane,
    )


def build(plan: StackPlan = PLAN, lost: tuple[int, ...] = ()) -> StackBuilder:
    """Send all frames of a slow stack but the lost ones."""
    builder, rng = StackBuilder(plan, make_start()), np.random.default_rng(0)
    for number in range(N_PLANES * N_FRAMES):
        if number not in lost:
            pixels = WORLDS[number // N_FRAMES].render_frame(5.0, rng)
            builder.add_frame(make_frame(number), pixels)
    return builder


def correlate_with_worlds(stack: np.ndarray) -> np.ndarray:
    images = [world.render_image().ravel() for world in WORLDS]
    return np.corrcoef(stack.reshape(len(stack), -1), images)[
        : len(stack), len(stack) :
    ]


def test_frames_of_a_slow_stack_belong_to_their_planes():
    builder = build()
    assert builder.is_complete
    r = correlate_with_worlds(builder.make_stack())
    assert r.argmax(1).tolist() == [0, 1, 2]


def test_a_stack_that_was_taken_upwards_begins_at_the_top():
    stack = build(StackPlan(N_PLANES, N_FRAMES, -2.5)).make_stack()
    assert correlate_with_worlds(stack).argmax(1).tolist() == [2, 1, 0]


def test_lost_frames_do_not_move_the_planes():
    builder = build(lost=(3, 4, 10))
    assert builder.is_complete
    assert correlate_with_worlds(builder.make_stack()).argmax(1).tolist() == [0, 1, 2]


def test_a_plane_with_too_few_frames_is_refused():
    with pytest.raises(UserError, match="of plane 2, 1 of 4 frames arrived"):
        build(lost=(4, 5, 6))


def test_frames_of_fast_z_name_their_plane():
    builder = StackBuilder(PLAN, make_start([0.0, 2.5, 5.0]))
    rng = np.random.default_rng(0)
    for volume in range(N_FRAMES):
        for plane, world in enumerate(WORLDS):
            builder.add_frame(make_frame(volume, plane), world.render_frame(5.0, rng))
    assert builder.is_complete
    assert correlate_with_worlds(builder.make_stack()).argmax(1).tolist() == [0, 1, 2]


def test_another_number_of_planes_is_refused():
    with pytest.raises(UserError, match="sends 2 planes, not 3"):
        StackBuilder(PLAN, make_start([0.0, 2.5]))


@pytest.mark.parametrize("plan", [(2, 4, 2.5), (3, 0, 2.5), (3, 4, 0.0)])
def test_a_plan_that_makes_no_stack_is_refused(plan):
    with pytest.raises(UserError, match="a stack needs 3 planes"):
        StackPlan(*plan)


def test_a_written_stack_has_its_distance(tmp_path):
    stack = build().make_stack()
    write_stack(tmp_path / "stack.tif", stack, 2.5)
    planes, step_um = read_stack(tmp_path / "stack.tif")
    assert step_um == 2.5
    np.testing.assert_array_equal(planes, stack)
