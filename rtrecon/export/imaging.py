"""Planes, the raw recording by its name, the neurons' masks, and how frames moved."""

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
from rtrecon.export.clock import regular
from rtrecon.export.metadata import Given
from rtrecon.imaging.reference import Reference

_UNKNOWN = "unknown"
_MOTION = {
    "confidence": ("a.u.", "correlation of each registered frame with the template"),
    "trusted": ("boolean", "1 where the frame's shift, and so its activity, counts"),
    "z": ("um", "how much deeper than the reference; planes of the stack if no um"),
}


@dataclass(frozen=True)
class Imaged:
    """One plane: its number, NWB's description of it, and the masks of its neurons."""

    number: int
    plane: ImagingPlane
    masks: PlaneSegmentation


def add_planes(file: NWBFile, references: list[Reference], told: Given) -> list[Imaged]:
    """Add a plane for each reference, with its masks and the image they lie on."""
    device = Device(name="microscope", description=told.get("device", _UNKNOWN))
    file.add_device(device)
    module = file.create_processing_module("ophys", "activity read from the images")
    segmentation, images = (
        ImageSegmentation(),
        Images(name="SummaryImages", description="what frames were registered to"),
    )
    module.add(segmentation)
    planes = []
    for number, reference in enumerate(references):
        plane = _plane(number, device, told)
        file.add_imaging_plane(plane)
        masks = _masks(number, plane, reference)
        segmentation.add_plane_segmentation(masks)
        images.add_image(_image(f"template_plane{number}", reference.template))
        planes.append(Imaged(number, plane, masks))
    module.add(images)
    return planes


def add_raw(
    file: NWBFile,
    plane: ImagingPlane,
    paths: tuple[Path, Path],
    frames: Array,
    rate: Given,
) -> None:
    """Refer to the microscope's own recording.

    paths: of the recording and of the NWB file. frames: the microscope's counter of
    every frame received; where some are missing, the recording still has them.
    """
    raw, out = paths
    file.add_acquisition(
        TwoPhotonSeries(
            name="TwoPhotonSeries",
            description="as the microscope saved it, all planes interleaved",
            comments=f"image n of the file is frame {int(frames.min())} + n of the "
            "microscope's counter",
            imaging_plane=plane,
            external_file=[_path_from(out.parent, raw)],
            format="external",
            starting_frame=[0],
            num_samples=int(frames.max() - frames.min()) + 1,
            **rate,
        )
    )


def add_motion(
    module: ProcessingModule, number: int, rows: dict[str, Array], t_s: Array
) -> None:
    """Add how the frames of one plane lay, and how far that is to be trusted."""
    suffix = f"_plane{number}"
    module.add(
        TimeSeries(
            name=f"xy_translation{suffix}",
            description="where each frame lay relative to the template: x, y",
            data=np.stack([rows["shift_x_px"], rows["shift_y_px"]], 1),
            unit="pixels",
            **regular(t_s),
        )
    )
    for name, (unit, description) in _MOTION.items():
        if np.isfinite(rows[name]).any():
            module.add(
                TimeSeries(
                    name=f"{name}{suffix}",
                    description=description,
                    data=rows[name],
                    unit=unit,
                    **regular(t_s),
                )
            )


def _plane(number: int, device: Device, told: Given) -> ImagingPlane:
    channel = OpticalChannel(
        name="OpticalChannel",
        description="the channel that activity is read from",
        emission_lambda=float(told.get("emission_lambda", math.nan)),
    )
    spacing: dict[str, Any] = {}
    if "grid_spacing_um" in told:
        across_um, down_um = told["grid_spacing_um"]
        spacing["grid_spacing"] = [across_um * 1e-6, down_um * 1e-6]
    return ImagingPlane(
        name=f"ImagingPlane{number}",
        optical_channel=channel,
        description=f"plane {number}",
        device=device,
        excitation_lambda=float(told.get("excitation_lambda", math.nan)),
        indicator=told.get("indicator", _UNKNOWN),
        location=told.get("location", _UNKNOWN),
        **spacing,
    )


def _masks(number: int, plane: ImagingPlane, reference: Reference) -> PlaneSegmentation:
    cells = reference.masks.cells
    table = PlaneSegmentation(
        name=f"PlaneSegmentation{number}",
        description="neurons, their masks as they lie on the template",
        imaging_plane=plane,
    )
    for roi_id, pixels in zip(cells.ids.tolist(), cells.pixels(), strict=True):
        rows, cols, weights = (part.tolist() for part in pixels)
        table.add_roi(id=roi_id, pixel_mask=list(zip(cols, rows, weights, strict=True)))
    return table


def _image(name: str, pixels: Array) -> GrayscaleImage:
    # NWB's images are [x, y].
    return GrayscaleImage(name=name, data=pixels.T, description="mean, registered")


def _path_from(folder: Path, file: Path) -> str:
    """Return a relative path, or where there is none (another drive) the whole."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return str(file.resolve())
