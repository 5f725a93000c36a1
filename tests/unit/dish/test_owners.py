import numpy as np

from rtrecon.dish.contact_finder import find_contacts
from rtrecon.dish.owner_memory import OwnerMemory
from rtrecon.dish.owners import assign_owners
from rtrecon.dish.pixel_graph import build_pixel_graph

SHAPE = (60, 100)
NO_TIPS = np.zeros((0, 3))
BODIES = np.zeros(SHAPE, np.int32)
BODIES[28:33, 0:6], BODIES[0:6, 48:53] = 1, 2
BODY_TABLE = np.array(
    [(1, 30, 3, 30.0), (2, 3, 50, 30.0)],
    [("number", int), ("y", float), ("x", float), ("area", float)],
)


def trace(*strokes):
    lines = np.zeros(SHAPE, bool)
    for rows, cols in strokes:
        lines[rows, cols] = True
    return build_pixel_graph(lines)


def assign(graph, memory, tips=NO_TIPS):
    owners, misses = assign_owners(graph, BODIES, memory, tips)
    memory.store(graph.rows, graph.cols, owners, misses)
    image = np.zeros(SHAPE, int)
    image[graph.rows, graph.cols] = owners
    return image, owners


# Neuron 2 has a long vertical neurite; that of neuron 1 grows towards it and beyond.
SHAFT = (slice(6, 56), 50)


def test_a_neurite_that_ends_at_another_one_keeps_its_owner():
    memory = OwnerMemory(SHAPE, 15)
    assign(trace(SHAFT, (30, slice(6, 40))), memory)
    graph = trace(SHAFT, (30, slice(6, 50)))
    image, owners = assign(graph, memory, np.array([[30, 39, 1]]))
    assert (image[30, 6:48] == 1).all()
    assert (image[8:27, 50] == 2).all()
    (contact,) = find_contacts(graph, owners, BODIES, BODY_TABLE)
    assert (contact["first"], contact["second"]) == (1, 2)
    assert np.hypot(contact["y"] - 30, contact["x"] - 49) < 3


def test_a_neurite_that_crosses_another_one_keeps_its_owner_beyond():
    memory = OwnerMemory(SHAPE, 15)
    assign(trace(SHAFT, (30, slice(6, 46))), memory)
    crossed = trace(SHAFT, (30, slice(6, 64)))
    assign(crossed, memory, np.array([[30, 45, 1]]))
    image, _ = assign(trace(SHAFT, (30, slice(6, 90))), memory, np.array([[30, 63, 1]]))
    assert (image[30, 54:90] == 1).all()
    assert (image[33:56, 50] == 2).all()


def test_a_new_branch_far_from_any_tip_belongs_to_the_neurite_it_leaves():
    memory = OwnerMemory(SHAPE, 15)
    assign(trace(SHAFT), memory)
    image, _ = assign(trace(SHAFT, (20, slice(51, 80))), memory)
    assert (image[20, 53:80] == 2).all()


def test_an_owner_is_remembered_when_a_frame_misses_the_neurite():
    memory = OwnerMemory(SHAPE, 15)
    assign(trace(SHAFT, (30, slice(6, 49))), memory)
    assign(trace(SHAFT), memory)
    image, _ = assign(trace(SHAFT, (30, slice(6, 50))), memory)
    assert (image[30, 6:46] == 1).all()


def test_a_neurite_that_enters_a_body_and_leaves_it_straight_on_keeps_its_owner():
    bodies = BODIES.copy()
    bodies[26:35, 46:55] = 3
    memory, tip = OwnerMemory(SHAPE, 15), np.array([[30, 35, 1]])
    for strokes in (
        [(30, slice(6, 36))],
        [(30, slice(6, 46))],
        [(30, slice(6, 46)), (30, slice(55, 70)), (slice(35, 50), 50)],
    ):
        graph = trace(*strokes)
        owners, misses = assign_owners(graph, bodies, memory, tip)
        memory.store(graph.rows, graph.cols, owners, misses)
    of = dict(zip(zip(graph.rows, graph.cols, strict=True), owners, strict=True))
    assert of[30, 69] == 1
    assert of[49, 50] == 3


def test_a_choice_of_the_user_stays():
    memory = OwnerMemory(SHAPE, 15)
    branch = (20, slice(51, 80))
    assign(trace(SHAFT, branch), memory)
    memory.pin(np.full(28, 20), np.arange(52, 80), 1)
    for _ in range(12):
        image, _ = assign(trace(SHAFT, branch), memory)
    assert (image[20, 56:80] == 1).all()


def test_memory_is_bounded():
    memory = OwnerMemory(SHAPE, 3)
    assign(trace(SHAFT), memory)
    empty = trace()
    for _ in range(5):
        assign(empty, memory)
    assert not memory.was_traced().any()
