"""Settings of the way from images to activity: motion, field, neurons, traces."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtrecon.config.section import Section, SettingsPath


class RegistrationSettings(Section):
    """Motion correction: each frame is registered to a template."""

    channel: int | None = Field(
        None,
        ge=1,
        description="channel from which motion is estimated (counted from 1); not set "
        "= the channel from which activity is read",
        examples=[2],
    )
    max_shift_px: float = Field(
        32.0, gt=0, description="largest shift that is searched, in pixels"
    )
    nonrigid: bool = Field(
        False,
        description="estimate motion row by row, because the brain moves while a frame "
        "is scanned",
    )
    scan_phase: Literal["auto", "off"] = Field(
        "auto",
        description="offset between odd and even lines of bidirectional scanning: "
        "'auto' = estimate, correct and follow it, 'off' = leave it",
    )
    template_frames: int = Field(
        100,
        ge=1,
        description="number of frames from which the template is made at the beginning "
        "of a session; a time-lapse uses those of the first five minutes, at least one",
    )
    template_drift_s: float | None = Field(
        None,
        ge=10,
        description="time constant in s with which the template follows slow changes; "
        "not set = the template stays as it is",
        examples=[300.0],
    )
    min_confidence: float = Field(
        0.15,
        ge=0,
        le=1,
        description="a frame whose correlation with the template is lower is rejected",
    )
    min_relative_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a frame whose correlation is lower than this fraction of the "
        "session's usual correlation is rejected: out of plane or blurred",
    )
    z_stack: SettingsPath | None = Field(
        None,
        description="TIFF file of planes above and below the imaged plane, from the "
        "top; rtrecon then measures drift in z; not set = it does not",
        examples=["stack.tif"],
    )
    z_step_um: float | None = Field(
        None,
        gt=0,
        description="distance of the planes in 'z_stack', in um; not set = the file's "
        "own value; without one, drift is reported in planes",
        examples=[5.0],
    )


class FieldMatchSettings(Section):
    """Search for the stored field of view in the images of today."""

    enabled: bool = Field(
        True, description="search for the stored field at the beginning of a session"
    )
    max_rotation_deg: float = Field(
        10.0, ge=0, le=45, description="largest rotation that is searched, in degrees"
    )
    max_scale: float = Field(
        1.1,
        ge=1,
        le=1.5,
        description="largest change of scale that is searched, as a factor: 1.1 "
        "searches from 1 / 1.1 to 1.1",
    )
    max_shift_fraction: float = Field(
        0.25,
        gt=0,
        le=0.5,
        description="largest shift that is searched, as a fraction of the field",
    )
    min_visible_fraction: float = Field(
        0.5,
        ge=0,
        le=1,
        description="smallest fraction of the neurons that must be visible; with "
        "fewer, the comparison reports a no-go",
    )


class RoiSettings(Section):
    """Which pixels belong to which neuron."""

    path: SettingsPath | None = Field(
        None,
        description="masks of the neurons: Suite2p folder or stat.npy, CaImAn .hdf5, "
        "NWB file, label image .tif or regions .json; not set = the masks that are "
        "stored with the encoder",
        examples=["suite2p/plane0/stat.npy"],
        json_schema_extra={"needed": "this or encoder.checkpoint"},
    )
    only_cells: bool = Field(
        True,
        description="leave out regions that Suite2p or CaImAn did not classify as "
        "cells",
    )
    transpose: bool = Field(False, description="exchange rows and columns of the masks")
    unit_rates: bool = Field(
        False,
        description="the sender sends firing rates of units instead of images, and no "
        "masks are needed",
    )


class TracesSettings(Section):
    """From registered images to the activity of each neuron."""

    channel: int | None = Field(
        None,
        ge=1,
        description="channel from which activity is read (counted from 1); not set = "
        "the session's first channel",
        examples=[1],
    )
    overlap: Literal["share", "exclude", "demix"] = Field(
        "share",
        description="pixels that belong to several neurons: 'share' = count for each, "
        "'exclude' = count for none, 'demix' = separate by least squares",
    )
    neuropil_coefficient: Annotated[float, Field(ge=0, le=1)] | Literal["fitted"] = (
        Field(
            0.7,
            description="fraction of the neuropil signal that is subtracted from each "
            "neuron; 'fitted' = estimated for each neuron",
        )
    )
    neuropil_inner_px: int = Field(
        2,
        ge=0,
        le=4096,
        description="gap between a neuron and its neuropil region, in pixels",
    )
    neuropil_outer_px: int = Field(
        7, ge=1, le=4096, description="width of the neuropil region, in pixels"
    )
    baseline_window_s: float = Field(
        60.0, gt=0, description="window of the running baseline F0, in s"
    )
    baseline_smooth_s: float = Field(
        0.5,
        gt=0,
        description="time constant in s with which a trace is smoothed before its "
        "baseline is taken",
    )
    detector_offset_counts: float | Literal["auto"] = Field(
        0.0,
        description="value that the detector gives without light, in counts; 'auto' = "
        "estimated from the noise of the first frames",
    )
    indicator_decay_s: float = Field(
        0.7,
        gt=0,
        description="decay time constant of the indicator, in s, for deconvolution "
        "(0.7 s suits GCaMP6s)",
    )
    indicator_rise_s: float | None = Field(
        None,
        gt=0,
        description="rise time constant of the indicator, in s, for deconvolution; not "
        "set = the indicator rises at once",
        examples=[0.05],
    )
    deconvolution_lag_frames: int = Field(
        2,
        ge=0,
        le=16,
        description="number of later frames that deconvolution uses; each delays the "
        "activity by one frame (at faster microscopes, by one encoder frame)",
    )

    @model_validator(mode="after")
    def _require_rise_before_decay(self) -> TracesSettings:
        rise_s, decay_s = self.indicator_rise_s, self.indicator_decay_s
        if rise_s is not None and rise_s >= decay_s:
            raise ValueError(
                f"indicator_rise_s = {rise_s} must be shorter than indicator_decay_s = "
                f"{decay_s}"
            )
        return self


class TimingSettings(Section):
    """The common time base of activity, behaviour and stimulus."""

    encoder_rate_hz: float = Field(
        30.0,
        gt=0,
        description="encoder frames per second; must be the rate at which the encoder "
        "was trained",
    )
