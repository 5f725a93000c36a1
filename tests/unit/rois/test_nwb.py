"""NWB's masks of every kind, and tables that cannot be read."""

from __future__ import annotations

import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ophys import ImageSegmentation, OpticalChannel

from rtrecon.core.errors import UserError
from rtrecon.rois.readers.nwb import load_plane_segmentation
from rtrecon.rois.readers.registry import load_rois

SHAPE = (20, 30)
TABLE = "processing/ophys/ImageSegmentation/PlaneSegmentation"

# (row, column, weight) of each pixel of two neurons
NEURONS = ([(2, 25, 1.0), (3, 25, 3.0)], [(19, 29, 1.0)])
ROWS, COLS, WEIGHTS = [2, 3, 19], [25, 25, 29], [0.25, 0.75, 1.0]


def save_nwb(path: Path, rois: list[dict], name: str = "any", **columns: list) -> Path:
    """Write an NWB file with pynwb; rois and columns as its table takes them."""
    nwb = NWBFile("a session", "id", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    plane = nwb.create_imaging_plane(
        name="plane",
        optical_channel=OpticalChannel(
            name="green", description="green", emission_lambda=510.0
        ),
        description="layer 2/3",
        device=nwb.create_device(name="microscope"),
        excitation_lambda=920.0,
        indicator="GCaMP6s",
        location="V1",
    )
    segmentation = ImageSegmentation()
    nwb.create_processing_module("ophys", "processed").add(segmentation)
    table = segmentation.create_plane_segmentation(
        name="PlaneSegmentation", description=name, imaging_plane=plane
    )
    for roi in rois:
        table.add_roi(**roi)
    for column, values in columns.items():
        table.add_column(name=column, description=column, data=values)
    with NWBHDF5IO(path, "w") as file:
        file.write(nwb)
    return path


def make_pixel_masks() -> list[dict]:
    return [{"pixel_mask": [(col, row, w) for row, col, w in n]} for n in NEURONS]


def load(path: Path, only_cells: bool = True):
    return load_plane_segmentation(path, SHAPE, only_cells)


def require_neurons(masks) -> None:
    assert masks.rows.tolist() == ROWS
    assert masks.cols.tolist() == COLS
    assert masks.weights.tolist() == WEIGHTS
    assert masks.indptr.tolist() == [0, 2, 3]


def test_pixel_masks_store_the_column_first_and_ids_are_those_of_the_table(tmp_path):
    rois = [roi | {"id": i} for roi, i in zip(make_pixel_masks(), (70, 9), strict=True)]
    masks = load(save_nwb(tmp_path / "s.nwb", rois))
    require_neurons(masks)
    assert masks.ids.tolist() == [70, 9]
    assert masks.planes.tolist() == [0, 0]


def test_pixel_masks_of_suite2p_store_the_row_first(tmp_path):
    rois = [{"pixel_mask": np.array(neuron)} for neuron in NEURONS]
    cells = np.array([[1, 0.9], [0, 0.1]])
    path = save_nwb(tmp_path / "ophys.nwb", rois, "suite2p output", iscell=cells)
    require_neurons(load(path, only_cells=False))
    assert load(path).ids.tolist() == [0]


def test_voxel_masks_of_suite2p_give_the_planes(tmp_path):
    voxels = [
        np.array([(row, col, plane, w) for row, col, w in neuron])
        for plane, neuron in enumerate(NEURONS)
    ]
    rois = [{"voxel_mask": each} for each in voxels]
    masks = load(save_nwb(tmp_path / "ophys.nwb", rois, "suite2p output"))
    require_neurons(masks)
    assert masks.planes.tolist() == [0, 1]


@pytest.mark.parametrize("is_turned", [True, False], ids=["[x, y]", "[row, column]"])
def test_image_masks_are_oriented_to_fit_the_field(tmp_path, is_turned):
    images = np.zeros((2, *SHAPE))
    for image, neuron in zip(images, NEURONS, strict=True):
        for row, col, weight in neuron:
            image[row, col] = weight
    rois = [{"image_mask": image.T if is_turned else image} for image in images]
    path = save_nwb(tmp_path / "s.nwb", rois, keep=[False, True])
    require_neurons(load(path, only_cells=False))
    assert load(path).ids.tolist() == [1]


def test_a_square_image_mask_is_x_by_y_as_nwb_defines(tmp_path):
    image = np.zeros((20, 20))
    image[4, 7] = 1
    path = save_nwb(tmp_path / "s.nwb", [{"image_mask": image}])
    masks = load_plane_segmentation(path, (20, 20), only_cells=True)
    assert (masks.rows.tolist(), masks.cols.tolist()) == ([7], [4])


def test_an_image_mask_of_another_field_is_refused(tmp_path):
    path = save_nwb(tmp_path / "s.nwb", [{"image_mask": np.eye(8)}])
    with pytest.raises(UserError, match=r"images of \[8, 8\], the field has 20 lines"):
        load(path)


def test_a_neuron_in_two_planes_is_refused(tmp_path):
    voxels = [(25, 2, 0, 1.0), (25, 3, 1, 1.0)]
    path = save_nwb(tmp_path / "s.nwb", [{"voxel_mask": voxels}])
    with pytest.raises(UserError, match=r"lies in planes \[0, 1\]"):
        load(path)


def test_files_without_exactly_one_table_are_refused(tmp_path):
    path = save_nwb(tmp_path / "s.nwb", make_pixel_masks())
    with h5py.File(path, "a") as file:
        file.copy(TABLE, "processing/ophys/ImageSegmentation/Dendrites")
    with pytest.raises(UserError, match=r"holds .*/Dendrites, .*/PlaneSegmentation"):
        load(path)
    h5py.File(tmp_path / "empty.nwb", "w").close()
    with pytest.raises(UserError, match="holds no PlaneSegmentation, so no masks"):
        load(tmp_path / "empty.nwb")


def test_one_of_several_tables_can_be_named_after_the_file(tmp_path):
    path = save_nwb(tmp_path / "s.nwb", make_pixel_masks())
    other = "processing/ophys/ImageSegmentation/Dendrites"
    with h5py.File(path, "a") as file:
        file.copy(TABLE, other)
        file[other]["id"][:] = [7, 8]
    with pytest.raises(UserError, match=r"name one after the file, such as s.nwb:/"):
        load_rois(path, SHAPE)
    assert load_rois(f"{path}:/{other}", SHAPE).ids.tolist() == [7, 8]
    assert load_rois(f"{path}:/{TABLE}", SHAPE).ids.tolist() == [0, 1]
    with pytest.raises(UserError, match="no PlaneSegmentation /nothing; it holds"):
        load_rois(f"{path}:/nothing", SHAPE)
    with pytest.raises(UserError, match="do not exist"):
        load_rois(f"{tmp_path / 'none.nwb'}:/{TABLE}", SHAPE)


# what is changed in the table -> words of the sentence
BAD = {
    "fewer ends": ("pixel_mask_index", [3], "damaged: 2 ids for 1 masks"),
    "ends too far": ("pixel_mask_index", [2, 9], "damaged: pixel_mask_index"),
    "ends go back": ("pixel_mask_index", [4, 3], "damaged: pixel_mask_index"),
    "no fields": ("pixel_mask", np.eye(3), "lacks x, y, z or weight: float64"),
    "no ids": ("id", None, "cannot be read"),
    "no ends": ("pixel_mask_index", None, "cannot be read"),
    "no masks": ("pixel_mask", None, "holds no masks"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_table_is_refused(tmp_path, case):
    name, content, words = BAD[case]
    path = save_nwb(tmp_path / "s.nwb", make_pixel_masks())
    with h5py.File(path, "a") as file:
        del file[TABLE][name]
        if content is not None:
            file[TABLE][name] = content
    with pytest.raises(UserError, match=words):
        load(path)
