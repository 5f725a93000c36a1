"""The MATLAB bridge, run by GNU Octave as ScanImage and Psychtoolbox would run it."""

from __future__ import annotations

import copy
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.daemon.ingest import Ingest, IngestAction
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    START_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.simulated_microscope import make_small_frames, make_small_settings
from rtrecon.transport import sockets
from rtrecon.transport.keys import make_keys
from rtrecon.transport.publisher import Publisher
from tests.support.octave import (
    MessageCollector,
    ScanImageScript,
    make_scan_field,
    read_output,
    read_real_acquisition,
    require_jeromq,
    require_octave,
    start_octave,
)

HEADERS = Path("scanimage") / "scanimage2021_headers.json.gz"
SHAPE = (24, 40)  # lines, pixels: what is transposed shows
TRANSPORTS = ("tcp", "jeromq")
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def real(shared_data):
    """A real LOOP acquisition's settings, and its frames' numbers and times."""
    require_octave()
    return read_real_acquisition(shared_data / HEADERS)


@pytest.fixture
def network(tmp_path):
    """Settings of the network that a sender of these tests finds."""
    return make_settings(tmp_path).network


@pytest.fixture
def script(tmp_path, real, network):
    """A script of ScanImage with real settings, sending by framed TCP."""
    settings = copy.deepcopy(real[0])  # tests change them
    return ScanImageScript(tmp_path, settings, arguments=["address", network.tcp])


def with_transport(
    script: ScanImageScript, transport: str, wire_settings
) -> ScanImageScript:
    """The same script by another transport."""
    if transport == "jeromq":
        script.jar = require_jeromq()
        script.arguments = ["transport", "jeromq", "address", wire_settings.frames]
    return script


def images(n: int, shape=SHAPE, dtype=np.int16) -> np.ndarray:
    low = np.iinfo(dtype).min // 40  # negative values are in every real recording
    return RNG.integers(low, 3000, (n, *shape)).astype(dtype)


def run_script(script: ScanImageScript, wire_settings) -> tuple[MessageCollector, str]:
    with MessageCollector(wire_settings) as collector:
        return collector, collector.collect_until_ended(script.start())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frames_of_a_loop_arrive_unchanged(script, real, network, transport):
    _, stamps = real
    # ScanImage displays channels 2 and 4: their images lie first and second.
    shown = images(2 * 40).reshape(40, 2, *SHAPE)
    with_transport(script, transport, network).mode = "loop"
    script.settings["hScan2D"] |= {"logFileStem": "µ-Maus", "logFileCounter": 7}
    script.add_event("acqModeStart")
    for i, (number, t) in enumerate(stamps[:40]):
        kind = "int32" if i % 2 else "int16"  # as the rolling average leaves them
        script.add_frame(
            number, t, make_scan_field(shown[i], channels=(2, 4)), kind=kind
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
    assert np.array_equal([pixels for _, pixels in frames], shown.reshape(-1, *SHAPE))
    assert [(m.frame, m.channel) for m, _ in frames] == [
        (number, channel) for number, _ in stamps[:40] for channel in (2, 4)
    ]
    assert [m.t for m, _ in frames[::2]] == pytest.approx([t for _, t in stamps[:40]])
    assert "rtrecon: 80 frames sent, 0 dropped, 4 repeats and 0 without" in output
    assert "the display averages 22 frames" in output
    require_all_accepted(collector, 80)


def require_all_accepted(collector: MessageCollector, n_frames: int) -> None:
    """The daemon's own door takes every frame, misses none, and hears the end."""
    ingest = Ingest()
    verdicts = [ingest.accept_message(m) for m, _ in collector.received]
    assert [v.reason for v in verdicts if v.action is IngestAction.REFUSED] == []
    assert verdicts[-1].action is IngestAction.END
    assert ingest.counts.frames_accepted == n_frames
    assert ingest.counts.gaps == messages.GapCounts()
    assert (collector.ends()[-1].frames, collector.ends()[-1].dropped) == (n_frames, 0)


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
    shown = images(9)
    script.add_event("acqModeStart")
    for number in range(1, 13):
        volume, k = divmod(number - 1, 4)
        if k == 3:
            script.add_frame(number, number / 19.4)  # no scan field has an image
            continue
        z = [20.0 * k - 20.0]
        script.add_frame(
            number, number / 19.4, make_scan_field(shown[3 * volume + k][None], zs=z)
        )
    script.add_event("acqModeDone")

    collector, output = run_script(script, network)

    start = collector.starts()[0]
    assert (start.planes, start.rate_hz) == ([-20.0, 0.0, 20.0], 4.85)
    placed = [(m.frame, m.plane) for m, _ in collector.frames()]
    assert placed == [(volume, plane) for volume in (1, 2, 3) for plane in range(3)]
    assert np.array_equal([pixels for _, pixels in collector.frames()], shown)
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
    shown = images(8)
    script.add_event("acqModeStart")
    for k, image in enumerate(shown):
        z = [15.0 * (k % 4 // 2)]
        script.add_frame(k + 1, k / 30, make_scan_field(image[None], zs=z))
    script.add_event("acqModeDone")

    collector, output = run_script(script, network)

    placed = [(m.frame, m.plane) for m, _ in collector.frames()]
    assert placed == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert np.array_equal([pixels for _, pixels in collector.frames()], shown[::2])
    assert "each volume has 2 frames of each plane; the first of them is sent" in output
    require_all_accepted(collector, 4)


@pytest.mark.parametrize(
    ("rois", "sent"), [([], ["A1"]), (["rois", [1, 2]], ["A1", "B2"])]
)
def test_only_the_selected_scan_fields_are_sent(script, network, rois, sent):
    script.settings["hRoiManager"]["mroiEnable"] = True
    script.arguments += rois
    fields = {"A1": images(3), "B2": images(3, (10, 14))}
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


def test_every_acquisition_is_a_session_of_its_own(script, network):
    shown = images(8, dtype=np.uint16)
    script.settings["hScan2D"]["channelsDataType"] = "uint16"

    def scan(*numbers):
        for number in numbers:
            script.add_frame(
                number,
                number / 30,
                make_scan_field(shown[number - 1][None]),
                kind="uint16",
            )

    script.add_event("focusStart")
    scan(1, 2)
    script.add_event("focusDone")
    script.add_event("acqModeStart")
    scan(1, 2, 3)
    script.add_event("acqAbort")
    script.add_event("acqModeDone")
    scan(6, 7)  # its start was missed, and its end never comes
    script.add_event("acqModeStart")
    scan(1)
    scan(4)
    scan(2)  # the counter restarts: another acquisition, without its start event
    script.add_event("acqAbort")

    collector, output = run_script(script, network)

    of = [(m.session, m.frame) for m, _ in collector.frames()]
    sessions = list(dict.fromkeys(session for session, _ in of))
    numbers = [[n for s, n in of if s == session] for session in sessions]
    assert numbers == [[1, 2], [1, 2, 3], [6, 7], [1, 4], [2]]
    assert [m.session for m in collector.ends()] == sessions
    assert [m.reason for m in collector.ends()][:2] == ["done", "aborted"]
    assert {m.dtype for m, _ in collector.frames()} == {"uint16"}
    assert output.count("frames sent, 0 dropped") == 5


def test_a_missing_channel_is_reported(script, network):
    script.arguments += ["channels", [3, 1]]
    script.add_frame(1, 0.0, make_scan_field(images(2), channels=(1, 2)))
    script.add_event("acqModeDone")
    collector, output = run_script(script, network)
    assert "channel 3 is requested but not delivered; tick Display" in output
    assert [m.channel for m, _ in collector.frames()] == [1]


def test_focus_can_be_left_out(script, network):
    script.arguments += ["focus", False]
    script.mode = "focus"
    script.add_event("focusStart")
    script.add_frame(1, 0.0, make_scan_field(images(1)))
    script.add_event("focusDone")
    collector, output = run_script(script, network)
    assert (collector.received, output) == ([], "")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_without_a_daemon_frames_are_dropped_at_once(script, network, transport):
    with_transport(script, transport, network)
    script.add_event("acqModeStart")
    for number in range(1, 61):
        script.add_frame(number, number / 30, make_scan_field(images(1)))
    script.add_event("acqModeDone")
    script.add_event("applicationWillClose")
    output = read_output(script.start())
    assert "0 frames sent, 60 dropped" in output
    assert f"no daemon at {script.arguments[-1]}" in output
    assert np.median(script.read_cost_ms()) < 100.0  # waiting would cost far more


def test_a_daemon_that_reads_nothing_delays_nothing(script, network):
    for number in range(1, 41):
        script.add_frame(number, number / 30, make_scan_field(images(1, (400, 400))))
    script.add_event("acqModeDone")
    host, port = network.tcp.removeprefix("tcp://").split(":")
    with socket.create_server((host, int(port))):  # connects, and is never served
        output = read_output(script.start())
    # 16 messages may be under way, of which the first is the start.
    assert "15 frames sent, 25 dropped" in output
    assert f"the daemon at {network.tcp} is too slow" in output
    assert np.median(script.read_cost_ms()) < 100.0  # waiting would cost far more


def test_the_user_function_pauses_after_errors_until_the_next_acquisition(
    script, network
):
    broken = {"frame": [], "t": 0.0, "fields": [], "type": "int16"}
    script.add_event("acqModeStart")
    for _ in range(20):
        script.add_event("frameAcquired", broken)
    script.add_event("acqModeStart")
    script.add_frame(1, 0.0, make_scan_field(images(1)))
    script.add_event("acqModeDone")
    collector, output = run_script(script, network)
    first, last = output.splitlines()[:2]
    assert first.startswith("rtrecon: ")
    assert last.startswith("rtrecon: off until the next acquisition, after 5 errors")
    assert "1 frames sent, 0 dropped" in output
    assert len(collector.frames()) == 1


def test_a_wrong_argument_is_reported_once(script, network):
    script.arguments = ["adress", network.tcp]
    script.add_event("acqModeStart")
    _, output = run_script(script, network)
    assert output.startswith(
        "rtrecon: 'adress' is no argument; arguments are: channels, "
    )
    assert len(output.splitlines()) == 1


CASES = {  # whose keys the sender has: what is output, how many frames arrive
    "own": ("3 frames sent, 0 dropped", 3),
    "": ("it asks for a token", 0),
    "other": ("it does not know the token", 0),
}


@pytest.mark.parametrize("whose", CASES)
def test_a_daemon_with_keys_accepts_only_the_right_token(
    script, network, tmp_path, whose
):
    sentence, n_frames = CASES[whose]
    make_keys(tmp_path / "own")
    make_keys(tmp_path / "other")
    if whose:
        script.arguments += ["keys", str(tmp_path / whose)]
    script.rate_hz = 30.0
    script.add_event("acqModeStart")
    for number in (1, 2, 3):
        script.add_frame(number, number / 30, make_scan_field(images(1)))
    script.add_event("acqModeDone")
    guarded = network.model_copy(update={"keys": tmp_path / "own"})
    collector, output = run_script(script, guarded)
    assert sentence in output
    assert len(collector.frames()) == n_frames


def test_an_old_jeromq_with_keys_sends_nothing_unencrypted(script, network, tmp_path):
    make_keys(tmp_path / "own")
    with_transport(script, "jeromq", network).arguments += [
        "keys",
        str(tmp_path / "own"),
    ]
    script.add_event("acqModeStart")
    script.add_frame(1, 0.0, make_scan_field(images(1)))
    collector, output = run_script(script, network)
    assert "JeroMQ has keys from version 0.5 on" in output
    assert collector.received == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frames_continue_after_the_daemon_restarts(script, network, transport):
    n_frames, shown = 240, images(240)
    with_transport(script, transport, network).rate_hz = 60.0
    script.add_event("acqModeStart")
    for i in range(n_frames):
        script.add_frame(i + 1, i / 60, make_scan_field(shown[i][None]))
    script.add_event("acqModeDone")
    script.add_event("applicationWillClose")

    process = script.start()
    with MessageCollector(network) as before:
        before.collect_until(lambda: len(before.frames()) >= 30)
    with MessageCollector(network) as after:
        output = after.collect_until_ended(process)

    if transport == "tcp":  # which knows that this is another connection
        assert isinstance(after.received[0][0], messages.SessionStart)
    assert {m.session for m, _ in after.received} == {before.starts()[0].session}
    for header, pixels in before.frames() + after.frames():
        assert np.array_equal(pixels, shown[header.frame - 1])
    (end,) = after.ends()
    assert end.frames + end.dropped == n_frames
    assert f"{end.frames} frames sent, {end.dropped} dropped" in output
    newest = [m.frame for m, _ in after.frames()]
    assert newest == list(range(newest[0], n_frames + 1))


def test_a_killed_and_restarted_daemon_continues_the_session(tmp_path, real):
    settings = make_small_settings(tmp_path)
    arguments = ["address", settings.network.tcp]
    script = ScanImageScript(tmp_path, real[0], rate_hz=30.0, arguments=arguments)
    frames = make_small_frames()
    script.add_event("acqModeStart")
    for i in range(2000):
        script.add_frame(i + 1, i / 30, make_scan_field(frames[i % len(frames)][None]))

    def has_processed(daemon, count):
        return lambda: (
            daemon.newest_health() and daemon.newest_health().frames_processed >= count
        )

    with DaemonProcess(tmp_path, settings) as first:
        process = script.start()
        try:
            first.wait_until(has_processed(first, N_TEMPLATE + 30), START_TIMEOUT_S)
            first.kill()
            with DaemonProcess(tmp_path, settings, wait=False) as second:
                second.wait_until(has_processed(second, 30), START_TIMEOUT_S)
        finally:
            process.kill()
            process.communicate()
    assert second.newest_health().session == first.newest_health().session != ""
    # What could not be sent while a daemon was coming up is lost at the source.
    assert (
        second.newest_health().gaps.network,
        second.newest_health().rejected_messages,
    ) == (0, 0)


def test_psychtoolbox_sends_the_time_of_each_stimulus_frame(network):
    collector = MessageCollector(network)
    code = f"""
        clock = @() 100;  % stands still: what was shown 0.25 s ago stays so
        rtrecon_stimulus('begin', 'clip', 'clouds', 'address', '{network.tcp}', ...
                         'clock', clock);
        image = reshape(uint8(0:5), 2, 3);
        rtrecon_stimulus('flip', image, 12, 99.75);
        rtrecon_stimulus('flip', cat(3, image, image + 2, image + 1), 13);
        rtrecon_stimulus('end')
    """
    with collector:
        output = collector.collect_until_ended(start_octave(code))
    (first, image), (second, coloured) = collector.received
    assert (first.clip, first.index, second.index) == ("clouds", 12, 13)
    assert image.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert np.array_equal(coloured, image + 1)
    assert 0.2 < second.t_send - first.t_send < 5.0
    assert output == "rtrecon: 2 stimulus frames sent, 0 dropped\n"


def test_matlab_receives_events(network):
    jar = require_jeromq()
    process = start_octave(f"""
        javaaddpath('{jar}');
        act = @(e) printf('%s: %s %g\\n', e.name, e.message, e.value);
        while isempty(rtrecon_events('address', '{network.publish}')), end
        rtrecon_listen(act, 0.5)
    """)
    context = zmq.Context()
    with sockets.bind_socket(context, zmq.PUB, network.publish) as out:
        publisher = Publisher(out)
        while process.poll() is None:
            publisher.publish(
                messages.Quality, encoder_frame=1, lag_s=0.1
            )  # nobody asked for these
            publisher.publish(messages.Event, name="rule", message="lick", value=0.5)
            time.sleep(0.02)
    context.term()
    assert set(read_output(process).splitlines()) == {"rule: lick 0.5"}
