"""Several scan fields in each page of a ScanImage file."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.sources import RecordingError, RecordingHints, open_recording
from rtrecon.sources.scan_fields import ScanField, locate_field
from rtrecon.testing.scanimage_file import make_pages, write_scanimage

MROI = {"SI.hRoiManager.mroiEnable": "true"}


def roi(name: str, lines: int, pixels: int = 16, **more: object) -> dict[str, object]:
    field = {"pixelResolutionXY": [pixels, lines]}
    return {"name": name, "enable": 1, "scanfields": field} | more


FIELDS = (ScanField("V1", (5, 16)), ScanField("LM", (3, 12)), ScanField("AL", (4, 16)))


def test_fields_are_located_below_each_other_with_equal_gaps():
    slices = [locate_field(FIELDS, field, (18, 16)) for field in FIELDS]
    assert slices == [
        (slice(0, 5), slice(0, 16)),
        (slice(8, 11), slice(0, 12)),
        (slice(14, 18), slice(0, 16)),
    ]


@pytest.mark.parametrize("page", [(17, 16), (11, 16), (18, 15)])
def test_fields_that_do_not_fit_the_page_are_refused(page):
    with pytest.raises(RecordingError, match="5 x 16, 3 x 12, 4 x 16 do not fit"):
        locate_field(FIELDS, FIELDS[0], page)


@pytest.mark.parametrize(
    ("name", "lines"), [(None, slice(0, 5)), ("V1", slice(0, 5)), ("LM", slice(7, 12))]
)
def test_one_field_is_read_with_its_name(tmp_path, name, lines):
    pixels = make_pages(4)
    rois = [roi("V1", 5), roi("off", 9, enable=0), roi("LM", 5, discretePlaneMode=0)]
    path = write_scanimage(tmp_path / "a.tif", pixels, settings=MROI, rois=rois)
    with open_recording(path, RecordingHints(field=name)) as recording:
        frames = list(recording.frames())
        assert recording.shape == (5, 16)
        assert ("has 2 scan fields; V1 is read" in recording.notice) == (name is None)
    assert np.array_equal([frame.pixels for frame in frames], pixels[:, lines])
    assert {frame.scan_field for frame in frames} == {name or "V1"}
    assert all(frame.pixels.flags.c_contiguous for frame in frames)


def test_a_missing_field_is_refused(tmp_path):
    rois = [roi("V1", 5), roi("LM", 5)]
    path = write_scanimage(tmp_path / "a.tif", make_pages(1), settings=MROI, rois=rois)
    with pytest.raises(
        RecordingError, match="no scan field 'S1'; its fields are V1, LM"
    ):
        open_recording(path, RecordingHints(field="S1"))
    plain = write_scanimage(tmp_path / "b.tif", make_pages(1), rois=roi("Default", 12))
    with pytest.raises(RecordingError, match="its fields are one, which has no name"):
        open_recording(plain, RecordingHints(field="S1"))


def test_a_field_whose_size_changes_with_depth_is_refused(tmp_path):
    sizes = [{"pixelResolutionXY": [16, lines]} for lines in (4, 5)]
    rois = [roi("V1", 5), roi("LM", 5, scanfields=sizes)]
    path = write_scanimage(tmp_path / "a.tif", make_pages(1), settings=MROI, rois=rois)
    with pytest.raises(RecordingError, match="2 scan fields without a size for each"):
        open_recording(path)


def read_um_per_px(tmp_path, rois, field=None, **settings: str) -> float | None:
    pixels = make_pages(4)
    path = write_scanimage(
        tmp_path / "a.tif", pixels, settings=MROI | settings, rois=rois
    )
    with open_recording(path, RecordingHints(field=field)) as recording:
        return recording.um_per_px


def sized_roi(name: str, lines: int, size_xy: list[float]) -> dict[str, object]:
    field = {"pixelResolutionXY": [16, lines], "sizeXY": size_xy}
    return roi(name, lines) | {"scanfields": field}


def test_each_field_has_its_own_size_of_a_pixel(tmp_path):
    rois = [sized_roi("V1", 5, [1.6, 0.5]), sized_roi("LM", 5, [6.4, 2.0])]
    objective = {"SI.objectiveResolution": "150"}
    assert read_um_per_px(tmp_path, rois, "V1", **objective) == pytest.approx(15.0)
    assert read_um_per_px(tmp_path, rois, "LM", **objective) == pytest.approx(60.0)


def test_the_size_of_a_pixel_is_unknown_without_objective_or_size(tmp_path):
    sized = [sized_roi("V1", 5, [1.6, 0.5]), sized_roi("LM", 5, [6.4, 2.0])]
    assert read_um_per_px(tmp_path, sized) is None
    without_size = [roi("V1", 5), roi("LM", 5)]
    objective = {"SI.objectiveResolution": "150"}
    assert read_um_per_px(tmp_path, without_size, **objective) is None
