"""A tissue of cells imaged at known depths, and images that come from none of them."""

from dataclasses import dataclass

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.imaging.registration.z_drift import DepthTracker, prepare_depth_stack

SHAPE = (192, 192)
COUNTS = 30  # per photon
RATE_HZ = 30
TEMPLATE_Z_UM = 0.6
AXIAL_SIGMAS_UM = 6.0, 4.0  # of somata and of finer structure, blurred by the optics
# planes, um between them -> largest error in um, half a plane from the template
STACKS = {(9, 2.5): 0.6, (5, 5.0): 0.6, (3, 10.0): 1.0}


@dataclass(frozen=True)
class Tissue:
    """Blobs at (row, col) and z in um; the first half are neurons."""

    centers: np.ndarray
    depths_um: np.ndarray
    sigmas_px: np.ndarray
    axial_um: np.ndarray
    heights: np.ndarray

    def image(self, z_um, activity=0.0) -> np.ndarray:
        """Brightness at a depth, mean about 1; activity: dF/F by blob."""
        off = (self.depths_um - z_um) / self.axial_um
        near = np.abs(off) < 3.5
        heights = (self.heights * (1 + activity) * np.exp(-0.5 * off**2))[near]
        rows, cols = (
            np.exp(-0.5 * ((np.arange(side)[:, None] - at) / sigmas) ** 2)
            for side, at, sigmas in zip(
                SHAPE,
                self.centers[near].T.astype(np.float32),
                2 * [self.sigmas_px[near].astype(np.float32)],
                strict=True,
            )
        )
        return 0.4 + (rows * heights.astype(np.float32)) @ cols.T

    def render_mean(self, z_um, photons, rng, activity=0.0) -> np.ndarray:
        """In counts, the noise being that of so many photons per pixel in all."""
        counts = COUNTS * rng.poisson(photons * self.image(z_um, activity))
        return (counts / photons).astype(np.float32)


def make_tissue(seed=0, reach_um=45.0) -> Tissue:
    rng = np.random.default_rng(seed)
    # One neuron in 900 px and one finer spot in 150, in a slab of 12 um.
    slabs = 2 * reach_um / 12
    counts = [round(SHAPE[0] * SHAPE[1] / area * slabs) for area in (900, 150)]
    heights = rng.lognormal(0, 0.4, counts[0]) * 2, rng.uniform(0, 0.9, counts[1])
    return Tissue(
        rng.uniform(-10, np.array(SHAPE) + 10, (sum(counts), 2)),
        rng.uniform(-reach_um, reach_um, sum(counts)),
        np.repeat([3.0, 2.0], counts),
        np.repeat(AXIAL_SIGMAS_UM, counts),
        np.concatenate(heights),
    )


def make_stack(tissue, n, step_um, rng) -> np.ndarray:
    """Planes from above, each displaced a little as the brain moved meanwhile."""
    planes = [tissue.render_mean((k - n // 2) * step_um, 30.0, rng) for k in range(n)]
    moves = rng.integers(-3, 4, (n, 2))
    return np.array(
        [
            np.roll(plane, move, (0, 1))
            for plane, move in zip(planes, moves, strict=True)
        ]
    )


@pytest.fixture(scope="module")
def tissue():
    return make_tissue()


@pytest.fixture(scope="module")
def template(tissue):
    return tissue.render_mean(TEMPLATE_Z_UM, 50.0, np.random.default_rng(1))


@pytest.fixture(scope="module")
def stacks(tissue, template):
    """Planes ready to be compared, by the number of them and the um between them."""
    return {
        (n, step_um): prepare_depth_stack(
            make_stack(tissue, n, step_um, np.random.default_rng(2)), template
        )
        for n, step_um in STACKS
    }


@pytest.fixture(scope="module")
def planes(stacks):
    return stacks[9, 2.5]


def measure_depth(planes, image, step_um):
    """Return the depth after a second of an image and one frame per plane."""
    tracker = DepthTracker(planes, RATE_HZ, step_um)
    for _ in range(RATE_HZ + len(planes.patterns)):
        tracker.add_image(image)
    return tracker.depth


@pytest.mark.parametrize("photons", [2.0, 0.2])  # per pixel and frame
@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_a_known_depth_is_recovered(stacks, tissue, stack, photons):
    planes, step_um, most_um = stacks[stack], stack[1], STACKS[stack]
    rng = np.random.default_rng(3)
    for z_um in step_um * np.array([-0.45, 0.0, 0.3]):
        image = tissue.render_mean(z_um, RATE_HZ * photons, rng)
        found = measure_depth(planes, image, step_um)
        assert abs(found.z - (z_um - TEMPLATE_Z_UM)) < most_um
        assert 0 < found.error < most_um


def test_a_larger_depth_is_recovered(planes, tissue):
    rng = np.random.default_rng(4)
    for z_um in (-8.0, -3.0, 5.0, 8.0):
        image = tissue.render_mean(z_um, RATE_HZ * 0.2, rng)
        assert measure_depth(planes, image, 2.5).z == pytest.approx(
            z_um - TEMPLATE_Z_UM, abs=0.6
        )


@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_the_template_is_located_in_the_stack(stacks, stack):
    planes, step_um, most_um = stacks[stack], stack[1], STACKS[stack]
    middle = len(planes.patterns) // 2
    start_um = (planes.template_position - middle) * step_um
    assert start_um == pytest.approx(TEMPLATE_Z_UM, abs=most_um)


def test_without_a_plane_distance_the_depth_is_in_planes(planes, tissue):
    image = tissue.render_mean(TEMPLATE_Z_UM + 5.0, 60.0, np.random.default_rng(5))
    assert measure_depth(planes, image, 1.0).z == pytest.approx(2.0, abs=0.2)


def test_active_neurons_do_not_change_the_depth(planes, tissue):
    rng = np.random.default_rng(6)
    n = len(tissue.heights)
    activity = np.where(rng.random(n) < 0.3, rng.exponential(2.0, n), 0.0)
    image = tissue.render_mean(TEMPLATE_Z_UM, 60.0, rng, activity)
    found = measure_depth(planes, image, 2.5)
    assert abs(found.z) < max(0.5, 3 * found.error)


def images_outside(tissue):
    rng = np.random.default_rng(7)
    return {
        "above the stack": tissue.render_mean(-25.0, 60.0, rng),
        "below the stack": tissue.render_mean(25.0, 60.0, rng),
        "another field": make_tissue(seed=8).render_mean(0.0, 60.0, rng),
        "noise": rng.normal(100, 20, SHAPE).astype(np.float32),
        "dark": np.zeros(SHAPE, np.float32),
    }


OUTSIDE = ["above the stack", "below the stack", "another field", "noise", "dark"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_image_outside_the_stack_has_no_depth(planes, tissue, name):
    found = measure_depth(planes, images_outside(tissue)[name], 2.5)
    assert np.isnan([found.z, found.error]).all()


def test_the_depth_is_renewed_every_second_and_dropped_when_frames_fail(
    planes, template
):
    tracker = DepthTracker(planes, RATE_HZ)
    is_known = []
    for k in range(4 * RATE_HZ):
        # From the third second on, only every third frame is of use.
        tracker.add_image(template if k < 2 * RATE_HZ or k % 3 == 0 else None)
        is_known.append(not np.isnan(tracker.depth.z))
    first = RATE_HZ + len(planes.patterns) - 1  # a plane is compared beside a frame
    assert is_known.index(True) == first
    assert is_known[first:].index(False) == 3 * RATE_HZ - 1 - first
    assert not any(is_known[3 * RATE_HZ - 1 :])


@pytest.mark.parametrize("rate_hz", [0.5, 2.0, 7.0])
def test_the_depth_is_measured_at_low_frame_rates(planes, tissue, rate_hz):
    image = tissue.render_mean(3.0, 60.0, np.random.default_rng(9))
    tracker = DepthTracker(planes, rate_hz, 2.5)
    for _ in range(2 * max(1, round(rate_hz))):
        tracker.add_image(image)
    assert tracker.depth.z == pytest.approx(3.0 - TEMPLATE_Z_UM, abs=0.6)


REFUSED = {
    "two planes": (np.s_[:2], "holds 2 planes"),
    "another zoom": (np.s_[:, :128], r"\(128, 192\) lines and pixels"),
    "only above": (np.s_[:4], "most like plane 4 of the 4"),
}


@pytest.fixture(scope="module")
def raw_planes(tissue):
    return make_stack(tissue, 9, 5.0, np.random.default_rng(2))


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_stack_raises_an_error(raw_planes, template, name):
    part, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        prepare_depth_stack(raw_planes[part], template)


def test_a_template_of_another_field_raises_an_error(raw_planes):
    other = make_tissue(seed=8).render_mean(0.0, 60.0, np.random.default_rng(1))
    with pytest.raises(UserError, match="cannot be estimated"):
        prepare_depth_stack(raw_planes, other)
