"""Imaging in NWB: planes, masks, the raw recording's path, and motion."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBFile, TimeSeries
from pynwb.base import Images, ProcessingModule
from pynwb.device import Device
from pynwb.image import GrayscaleImage
from pynwb.ophys import (
    ImageSegmentation,
    ImagingPlane,
    OpticalChannel,
    PlaneSegmentation,
    TwoPhotonSeries,
)

from rtrecon.core.types import Array
from rtrecon.export.metadata import Metadata
from rtrecon.export.series_data import describe_times
from rtrecon.imaging.reference import PlaneReference

_UNKNOWN = "unknown"
_MOTION_SERIES = {
    "confidence": ("a.u.", "correlation of each registered frame with the template"),
    "is_accepted": ("boolean", "1 if quality control accepted the frame, 0 if not"),
    "z_offset": ("um", "how much deeper than the reference; stack planes if no um"),
}


@dataclass(frozen=True)
class ImagedPlane:
    """One plane: its index, NWB's description of it, and its neurons' masks."""

    index: int
    plane: ImagingPlane
    masks: PlaneSegmentation


def add_planes(
    file: NWBFile, references: list[PlaneReference], experiment: Metadata
) -> list[ImagedPlane]:
    """Add a plane for each reference, with its masks and its template."""
    device = Device(name="microscope", description=experiment.get("device", _UNKNOWN))
    file.add_device(device)
    module = file.create_processing_module("ophys", "activity read from the images")
    segmentation = ImageSegmentation()
    images = Images(name="SummaryImages", description="templates of the registration")
    module.add(segmentation)
    planes = []
    for index, reference in enumerate(references):
        plane = _make_plane(index, device, experiment)
        file.add_imaging_plane(plane)
        masks = _make_masks(index, plane, reference)
        segmentation.add_plane_segmentation(masks)
        images.add_image(_make_image(f"template_plane{index}", reference.template))
        planes.append(ImagedPlane(index, plane, masks))
    module.add(images)
    return planes


def add_raw_recording(
    file: NWBFile,
    plane: ImagingPlane,
    paths: tuple[Path, Path],
    frames: Array,
    rate: dict[str, float],
) -> None:
    """Refer to the recording that the microscope's own program saved.

    paths: of the recording and of the NWB file. frames: the microscope's frame counter
    of every frame received; the recording also has those lost on the way.
    """
    raw, out = paths
    file.add_acquisition(
        TwoPhotonSeries(
            name="TwoPhotonSeries",
            description="as the microscope saved it, all planes interleaved",
            comments=f"image n of the file is frame {int(frames.min())} + n of the "
            "microscope's counter",
            imaging_plane=plane,
            external_file=[_make_relative(raw, out.parent)],
            format="external",
            starting_frame=[0],
            num_samples=int(frames.max() - frames.min()) + 1,
            **rate,
        )
    )


def add_motion(
    module: ProcessingModule, plane_index: int, columns: dict[str, Array], t_s: Array
) -> None:
    """Add the shift of each frame of one plane, and quality control's result."""
    suffix = f"_plane{plane_index}"
    module.add(
        TimeSeries(
            name=f"xy_translation{suffix}",
            description="displacement of each frame from the template: x, y",
            data=np.stack([columns["shift_x_px"], columns["shift_y_px"]], 1),
            unit="pixels",
            **describe_times(t_s),
        )
    )
    for name, (unit, description) in _MOTION_SERIES.items():
        if np.isfinite(columns[name]).any():
            module.add(
                TimeSeries(
                    name=f"{name}{suffix}",
                    description=description,
                    data=columns[name],
                    unit=unit,
                    **describe_times(t_s),
                )
            )


def _make_plane(index: int, device: Device, experiment: Metadata) -> ImagingPlane:
    channel = OpticalChannel(
        name="OpticalChannel",
        description="the channel that activity is read from",
        emission_lambda=float(experiment.get("emission_lambda", math.nan)),
    )
    spacing: dict[str, Any] = {}
    if "grid_spacing_um" in experiment:
        across_um, down_um = experiment["grid_spacing_um"]
        spacing["grid_spacing"] = [across_um * 1e-6, down_um * 1e-6]
    return ImagingPlane(
        name=f"ImagingPlane{index}",
        optical_channel=channel,
        description=f"plane {index}",
        device=device,
        excitation_lambda=float(experiment.get("excitation_lambda", math.nan)),
        indicator=experiment.get("indicator", _UNKNOWN),
        location=experiment.get("location", _UNKNOWN),
        **spacing,
    )


def _make_masks(
    index: int, plane: ImagingPlane, reference: PlaneReference
) -> PlaneSegmentation:
    cells = reference.masks.cells
    table = PlaneSegmentation(
        name=f"PlaneSegmentation{index}",
        description="masks of the neurons in the coordinates of the template",
        imaging_plane=plane,
    )
    for roi_id, pixels in zip(cells.ids.tolist(), cells.list_pixels(), strict=True):
        rows, cols, weights = (part.tolist() for part in pixels)
        table.add_roi(id=roi_id, pixel_mask=list(zip(cols, rows, weights, strict=True)))
    return table


def _make_image(name: str, pixels: Array) -> GrayscaleImage:
    # NWB stores images as [x, y].
    return GrayscaleImage(
        name=name, data=pixels.T, description="mean of registered frames"
    )


def _make_relative(file: Path, folder: Path) -> str:
    """Return the path from a folder to a file; the whole path if on another drive."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return str(file.resolve())
