"""Sections of the front: doors, and from pixels to activity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtrecon.config.section import Section


class WireSettings(Section):
    """Where the daemon listens and publishes, and who may talk to it."""

    frames: str = Field("tcp://127.0.0.1:5560", description="senders PUSH here")
    tcp: str = Field(
        "tcp://127.0.0.1:5561",
        description="senders that know only TCP connect here; 'off' = no such door",
    )
    publish: str = Field("tcp://127.0.0.1:5562", description="everybody may SUB here")
    control: str = Field("tcp://127.0.0.1:5563", description="requests, as JSON")
    results: str = Field("tcp://127.0.0.1:5564", description="the inverter PUSHes here")
    idle_timeout_s: float = Field(
        10.0, gt=0, description="silence after which a session counts as ended"
    )
    stall_s: float = Field(
        1.5, gt=0, description="without a frame, after which a sender counts as stalled"
    )
    asides_hz: float = Field(
        10000.0,
        gt=0,
        description="stimulus, behaviour and sync messages that one sender may send",
    )
    keys: str | None = Field(
        None,
        description="folder made by `rtrecon keys`; none = unencrypted, and this "
        "computer only",
    )
    token: str | None = Field(
        None, description="file of the word for `tcp`; none = the key folder's, if any"
    )


class RegisterSettings(Section):
    """Motion correction."""

    channel: int | None = Field(
        None, ge=1, description="told motion from; none = the channel that is read"
    )
    max_shift_px: float = Field(32.0, gt=0, description="search range, each direction")
    nonrigid: bool = Field(
        False, description="tell motion by rows: the brain moves while it is scanned"
    )
    bidirectional: Literal["auto", "off"] = Field(
        "auto", description="look for an offset between odd and even lines, and undo it"
    )
    template_frames: int = Field(
        100, ge=10, description="frames of the live template, where none is stored"
    )
    template_drift_s: float | None = Field(
        None, ge=10, description="the template follows slow change; none = it does not"
    )
    min_confidence: float = Field(
        0.15,
        ge=0,
        le=1,
        description="correlation with the template under which a frame is flagged",
    )
    min_usual: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the usual correlation under which a frame is flagged: "
        "out of plane or blurred",
    )
    z_stack: str | None = Field(
        None, description="TIFF of planes around this one, from above; tells z drift"
    )
    z_step_um: float | None = Field(
        None, gt=0, description="between those planes; none = drift is in planes"
    )


class FieldSettings(Section):
    """Yesterday's field: how far from it today's may be, and when it is another."""

    enabled: bool = Field(True, description="look for the stored field in today's")
    max_rotation_deg: float = Field(10.0, ge=0, le=45, description="searched, each way")
    max_scale: float = Field(
        1.1, ge=1, le=1.5, description="searched, up and down: zoom and objective"
    )
    max_shift: float = Field(
        0.25, gt=0, le=0.5, description="searched, each way, as a share of the field"
    )
    min_visible: float = Field(
        0.5, ge=0, le=1, description="share of neurons under which it is a no-go"
    )


class TracesSettings(Section):
    """From pixels to activity."""

    channel: int | None = Field(
        None, ge=1, description="read activity from; none = the session's first"
    )
    overlap: Literal["share", "exclude", "demix"] = Field(
        "share", description="pixels of several cells: count for each, none, or demixed"
    )
    neuropil_coefficient: Annotated[float, Field(ge=0, le=1)] | Literal["fitted"] = (
        Field(0.7, description="of the ring, taken off; 'fitted' = each cell's own")
    )
    neuropil_inner_px: int = Field(2, ge=0, description="gap between cell and annulus")
    neuropil_outer_px: int = Field(7, ge=1, description="width of the annulus")
    baseline_window_s: float = Field(60.0, gt=0)
    baseline_smooth_s: float = Field(0.5, gt=0)
    offset_counts: float | Literal["auto"] = Field(
        0.0, description="read in the dark; 'auto' = told from the noise of the frames"
    )
    decay_s: float = Field(0.7, gt=0, description="indicator decay, for deconvolution")
    rise_s: float | None = Field(
        None, gt=0, description="indicator rise, for deconvolution; none = at once"
    )
    deconvolve_lag_frames: int = Field(2, ge=0, le=16)

    @model_validator(mode="after")
    def _rise_before_decay(self) -> TracesSettings:
        if self.rise_s is not None and self.rise_s >= self.decay_s:
            raise ValueError(
                f"rise_s = {self.rise_s} must be shorter than decay_s = {self.decay_s}"
            )
        return self


class AlignSettings(Section):
    """One time base."""

    rate_hz: float = Field(30.0, gt=0, description="encoder frames per second")


class RoiSettings(Section):
    """Which masks."""

    path: str | None = Field(
        None,
        description="masks: Suite2p, CaImAn, NWB, label image, regions .json; none = "
        "the encoder's",
    )
    only_cells: bool = Field(
        True, description="leave out what Suite2p or CaImAn did not take for a cell"
    )
    transpose: bool = Field(False, description="exchange rows and columns of the masks")
    units: bool = Field(
        False, description="rates of units will come, not images: no masks needed"
    )
