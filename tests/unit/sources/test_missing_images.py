"""A TIFF whose description names more images than it holds says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from rtrecon.sources import RecordingHints, open_recording

N_IMAGES = 6
OME = (
    '<?xml version="1.0"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="I:0">'
    '<Pixels ID="P:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="8" '
    'SizeZ="1" SizeC="1" SizeT="{n}"><TiffData/></Pixels></Image></OME>'
)


def read_notice(path: Path) -> str:
    with open_recording(path, RecordingHints(rate_hz=30.0)) as recording:
        assert recording.n_frames == len(list(recording.frames())) == N_IMAGES
        return recording.notice


def write_imagej(path: Path, n_named: int) -> Path:
    images = np.zeros((N_IMAGES, 8, 8), np.uint16)
    tifffile.imwrite(path, images, imagej=True, metadata={"axes": "TYX"})
    content = path.read_bytes()
    named = f"frames={n_named}".encode()
    path.write_bytes(content.replace(f"frames={N_IMAGES}".encode(), named))
    return path


def write_ome(path: Path, n_named: int) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for k in range(N_IMAGES):
            text = None if k else OME.format(n=n_named)
            image = np.zeros((8, 8), np.uint16)
            tiff.write(image, description=text, metadata=None, contiguous=False)
    return path


def test_missing_images_of_imagej_are_reported(tmp_path):
    notice = read_notice(write_imagej(tmp_path / "a.tif", 9))
    assert "names 9 images, but it holds 6" in notice
    assert read_notice(write_imagej(tmp_path / "b.tif", N_IMAGES)) == ""


def test_missing_images_of_ome_xml_are_reported(tmp_path):
    notice = read_notice(write_ome(tmp_path / "a.ome.tif", 500))
    assert "names 500 images, but it holds 6" in notice
    assert read_notice(write_ome(tmp_path / "b.ome.tif", N_IMAGES)) == ""
