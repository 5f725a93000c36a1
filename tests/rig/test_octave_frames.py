"""The frames that the ScanImage user function sends, run by GNU Octave."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.ingest.result import IngestAction
from rtrecon.protocol import messages
from tests.support.octave import (
    SHAPE,
    TRANSPORTS,
    MessageCollector,
    choose_transport,
    draw_images,
    make_scan_field,
    run_script,
)


def require_all_accepted(collector: MessageCollector, n_frames: int) -> None:
    """Assert that the daemon would accept every frame and receive the end."""
    ingest = Ingest()
    verdicts = [ingest.accept_message(m) for m, _ in collector.received]
    assert [v.reason for v in verdicts if v.action is IngestAction.REFUSED] == []
    assert verdicts[-1].action is IngestAction.END
    assert ingest.counts.frames_accepted == n_frames
    assert ingest.counts.gaps == messages.GapCounts()
    assert (collector.ends()[-1].frames, collector.ends()[-1].dropped) == (n_frames, 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frames_of_a_loop_arrive_unchanged(script, acquisition, network, transport):
    _, stamps = acquisition
    # ScanImage displays channels 2 and 4: the buffer has their images first and second.
    images = draw_images(2 * 40).reshape(40, 2, *SHAPE)
    choose_transport(script, transport, network).mode = "loop"
    script.is_paced = True  # 80 images are more than a sender queues on a busy computer
    script.settings["hScan2D"] |= {"logFileStem": "µ-Maus", "logFileCounter": 7}
    script.add_event("acqModeStart")
    for i, (number, t) in enumerate(stamps[:40]):
        kind = "int32" if i % 2 else "int16"  # as the rolling average leaves them
        script.add_frame(
            number, t, make_scan_field(images[i], channels=(2, 4)), kind=kind
        )
        if i % 10 == 9:
            script.add_event("frameAcquired")  # flyback: the buffer is as it was
            script.add_event("acqDone")  # of one of the loop's acquisitions
    script.add_event("acqModeDone")
    script.add_event("applicationWillClose")

    collector, output = run_script(script, network)

    start = collector.starts()[0]
    assert (start.source, start.rate_hz) == ("ScanImage 2021.1", 19.4098)
    assert (start.shape, start.dtype, start.channels) == (SHAPE, "int16", [2, 4])
    assert (start.meta["mode"], start.meta["zoom"]) == ("loop", 1.4)
    assert start.meta["log_file_stem"] == "µ-Maus"
    assert len({m.session for m, _ in collector.received}) == 1
    frames = collector.frames()
    assert np.array_equal([pixels for _, pixels in frames], images.reshape(-1, *SHAPE))
    assert [(m.frame, m.channel) for m, _ in frames] == [
        (number, channel) for number, _ in stamps[:40] for channel in (2, 4)
    ]
    assert [m.t for m, _ in frames[::2]] == pytest.approx([t for _, t in stamps[:40]])
    assert "rtrecon: 80 frames sent, 0 dropped, 4 repeats and 0 without" in output
    assert "the display averages 22 frames" in output
    require_all_accepted(collector, 80)


def test_a_volume_is_sent_plane_by_plane_without_flyback(script, network):
    settings = script.settings
    settings["hStackManager"] |= {
        "enable": True,
        "stackMode": "fast",
        "numSlices": 11,  # of an earlier stack
        "actualNumSlices": 3,
        "numFramesPerVolume": 3,
        "zs": [-20.0, 0.0, 20.0],
        "numFramesPerVolumeWithFlyback": 4,
    }
    settings["hRoiManager"] |= {"scanVolumeRate": 4.85}
    images = draw_images(9)
    script.add_event("acqModeStart")
    for number in range(1, 13):
        volume, k = divmod(number - 1, 4)
        if k == 3:
            script.add_frame(number, number / 19.4)  # no scan field has an image
            continue
        z = [20.0 * k - 20.0]
        script.add_frame(
            number, number / 19.4, make_scan_field(images[3 * volume + k][None], zs=z)
        )
    script.add_event("acqModeDone")

    collector, output = run_script(script, network)

    start = collector.starts()[0]
    assert (start.planes, start.rate_hz) == ([-20.0, 0.0, 20.0], 4.85)
    planes = [(m.frame, m.plane) for m, _ in collector.frames()]
    assert planes == [(volume, plane) for volume in (1, 2, 3) for plane in range(3)]
    assert np.array_equal([pixels for _, pixels in collector.frames()], images)
    assert "9 frames sent, 0 dropped, 0 repeats and 3 without an image" in output
    require_all_accepted(collector, 9)


def test_of_several_frames_of_a_plane_in_a_volume_the_first_is_sent(script, network):
    script.settings["hStackManager"] |= {
        "enable": True,
        "stackMode": "fast",
        "actualNumSlices": 2,
        "zs": [0.0, 15.0],
        "numFramesPerVolume": 4,
        "numFramesPerVolumeWithFlyback": 4,
    }
    images = draw_images(8)
    script.add_event("acqModeStart")
    for k, image in enumerate(images):
        z = [15.0 * (k % 4 // 2)]
        script.add_frame(k + 1, k / 30, make_scan_field(image[None], zs=z))
    script.add_event("acqModeDone")

    collector, output = run_script(script, network)

    planes = [(m.frame, m.plane) for m, _ in collector.frames()]
    assert planes == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert np.array_equal([pixels for _, pixels in collector.frames()], images[::2])
    assert "each volume has 2 frames of each plane; the first of them is sent" in output
    require_all_accepted(collector, 4)


@pytest.mark.parametrize(
    ("rois", "sent"), [([], ["A1"]), (["rois", [1, 2]], ["A1", "B2"])]
)
def test_only_the_selected_scan_fields_are_sent(script, network, rois, sent):
    script.settings["hRoiManager"]["mroiEnable"] = True
    script.arguments += rois
    fields = {"A1": draw_images(3), "B2": draw_images(3, (10, 14))}
    for i in range(3):
        parts = [make_scan_field(v[i][None], uuid=k) for k, v in fields.items()]
        script.add_frame(i + 1, i / 10, *parts)
    script.add_event("acqModeDone")

    collector, output = run_script(script, network)

    rois_sent = collector.starts()[0].rois
    assert rois_sent == [{"id": k, "shape": list(fields[k].shape[1:])} for k in sent]
    assert [m.roi for m, _ in collector.frames()] == 3 * sent
    for header, pixels in collector.frames():
        assert np.array_equal(pixels, fields[header.roi][header.frame - 1])
    assert ("1 of 2 scan fields are sent" in output) == (len(sent) == 1)


def test_every_acquisition_is_a_separate_session(script, network):
    images = draw_images(8, dtype=np.uint16)
    script.settings["hScan2D"]["channelsDataType"] = "uint16"

    def scan(*numbers):
        for number in numbers:
            script.add_frame(
                number,
                number / 30,
                make_scan_field(images[number - 1][None]),
                kind="uint16",
            )

    script.add_event("focusStart")
    scan(1, 2)
    script.add_event("focusDone")
    script.add_event("acqModeStart")
    scan(1, 2, 3)
    script.add_event("acqAbort")
    script.add_event("acqModeDone")
    scan(6, 7)  # its start and its end are missed
    script.add_event("acqModeStart")
    scan(1)
    scan(4)
    scan(2)  # the counter restarts: another acquisition, without its start event
    script.add_event("acqAbort")

    collector, output = run_script(script, network)

    sent_frames = [(m.session, m.frame) for m, _ in collector.frames()]
    sessions = list(dict.fromkeys(session for session, _ in sent_frames))
    numbers = [[n for s, n in sent_frames if s == session] for session in sessions]
    assert numbers == [[1, 2], [1, 2, 3], [6, 7], [1, 4], [2]]
    assert [m.session for m in collector.ends()] == sessions
    assert [m.reason for m in collector.ends()][:2] == ["done", "aborted"]
    assert {m.dtype for m, _ in collector.frames()} == {"uint16"}
    assert output.count("frames sent, 0 dropped") == 5


def test_a_missing_channel_is_reported(script, network):
    script.arguments += ["channels", [3, 1]]
    script.add_frame(1, 0.0, make_scan_field(draw_images(2), channels=(1, 2)))
    script.add_event("acqModeDone")
    collector, output = run_script(script, network)
    assert "channel 3 is requested but not delivered; tick Display" in output
    assert [m.channel for m, _ in collector.frames()] == [1]


def test_focus_can_be_left_out(script, network):
    script.arguments += ["focus", False]
    script.mode = "focus"
    script.add_event("focusStart")
    script.add_frame(1, 0.0, make_scan_field(draw_images(1)))
    script.add_event("focusDone")
    collector, output = run_script(script, network)
    assert (collector.received, output) == ([], "")
