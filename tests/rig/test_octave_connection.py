"""The ScanImage user function without a daemon, with keys and after a restart."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    START_TIMEOUT_S,
    DaemonProcess,
)
from rtrecon.testing.simulated_microscope import make_small_frames, make_small_settings
from rtrecon.transport.keys import make_keys
from tests.support.octave import (
    TRANSPORTS,
    MessageCollector,
    ScanImageScript,
    choose_transport,
    draw_images,
    make_scan_field,
    read_output,
    run_script,
)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_without_a_daemon_frames_are_dropped_at_once(script, network, transport):
    choose_transport(script, transport, network)
    script.add_event("acqModeStart")
    for number in range(1, 61):
        script.add_frame(number, number / 30, make_scan_field(draw_images(1)))
    script.add_event("acqModeDone")
    script.add_event("applicationWillClose")
    output = read_output(script.start())
    assert "0 frames sent, 60 dropped" in output
    assert f"no daemon at {script.arguments[-1]}" in output
    assert np.median(script.read_cost_ms()) < 100.0  # waiting would cost far more


def test_a_daemon_that_reads_nothing_delays_nothing(script, network):
    for number in range(1, 41):
        script.add_frame(
            number, number / 30, make_scan_field(draw_images(1, (400, 400)))
        )
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
    script.add_frame(1, 0.0, make_scan_field(draw_images(1)))
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


CASES = {  # key_owner keys the sender has: what is output, how many frames arrive of n
    "daemon": ("3 frames sent, 0 dropped", 3, 3),
    # Ten seconds: a busy daemon, too, refuses it before the last frame.
    "": ("it asks for a token", 0, 20),
    "other": ("it does not know the token", 0, 20),
}


@pytest.mark.parametrize("key_owner", CASES)
def test_a_daemon_with_keys_accepts_only_the_right_token(
    script, network, tmp_path, key_owner
):
    sentence, n_received, n_frames = CASES[key_owner]
    make_keys(tmp_path / "daemon")
    make_keys(tmp_path / "other")
    if key_owner:
        script.arguments += ["keys", str(tmp_path / key_owner)]
    script.rate_hz = 2.0
    script.add_event("acqModeStart")
    for number in range(1, n_frames + 1):
        script.add_frame(number, number / 10, make_scan_field(draw_images(1)))
    script.add_event("acqModeDone")
    guarded = network.model_copy(update={"keys": tmp_path / "daemon"})
    collector, output = run_script(script, guarded)
    assert sentence in output
    assert len(collector.frames()) == n_received


def test_an_old_jeromq_with_keys_sends_nothing_unencrypted(script, network, tmp_path):
    make_keys(tmp_path / "daemon")
    choose_transport(script, "jeromq", network).arguments += [
        "keys",
        str(tmp_path / "daemon"),
    ]
    script.add_event("acqModeStart")
    script.add_frame(1, 0.0, make_scan_field(draw_images(1)))
    collector, output = run_script(script, network)
    assert "JeroMQ has keys from version 0.5 on" in output
    assert collector.received == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frames_continue_after_the_daemon_restarts(script, network, transport):
    n_frames, images = 180, draw_images(180)
    choose_transport(script, transport, network).rate_hz = 60.0
    script.add_event("acqModeStart")
    for i in range(n_frames):
        script.add_frame(i + 1, i / 60, make_scan_field(images[i][None]))
    script.add_event("acqModeDone")
    script.add_event("applicationWillClose")

    process = script.start()
    with MessageCollector(network) as before:
        before.collect_until(lambda: len(before.frames()) >= 30)
    with MessageCollector(network) as after:
        output = after.collect_until_ended(process)

    if transport == "tcp":  # which starts each connection with the start message
        assert isinstance(after.received[0][0], messages.SessionStart)
    assert {m.session for m, _ in after.received} == {before.starts()[0].session}
    for header, pixels in before.frames() + after.frames():
        assert np.array_equal(pixels, images[header.frame - 1])
    (end,) = after.ends()
    assert end.frames + end.dropped == n_frames
    assert f"{end.frames} frames sent, {end.dropped} dropped" in output
    newest = [m.frame for m, _ in after.frames()]
    assert newest == list(range(newest[0], n_frames + 1))


def test_a_killed_and_restarted_daemon_continues_the_session(tmp_path, acquisition):
    settings = make_small_settings(tmp_path)
    arguments = ["address", settings.network.tcp]
    script = ScanImageScript(
        tmp_path, acquisition[0], rate_hz=30.0, arguments=arguments
    )
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
