"""The MATLAB bridge, run by GNU Octave as ScanImage and Psychtoolbox would run it."""

from __future__ import annotations

import copy
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtrecon.daemon.ingest import Ingest, Kind
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    SLOW_S,
    Daemon,
    settings_in,
    small_frames,
    small_settings,
)
from rtrecon.transport import sockets
from rtrecon.transport.keys import make_keys
from rtrecon.transport.publisher import Publisher
from tests.support.octave import (
    Listening,
    Play,
    finished,
    jeromq,
    octave,
    real_acquisition,
    scan_field,
    start,
)

HEADERS = Path("scanimage") / "scanimage2021_headers.json.gz"
SHAPE = (24, 40)  # lines, pixels: what is transposed shows
TRANSPORTS = ("tcp", "jeromq")
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def real(shared_data):
    """A real LOOP acquisition's settings, and its frames' numbers and times."""
    octave()
    return real_acquisition(shared_data / HEADERS)


@pytest.fixture
def doors(tmp_path):
    """Settings of the doors that a sender of these tests finds."""
    return settings_in(tmp_path).wire


@pytest.fixture
def play(tmp_path, real, doors):
    """A play of ScanImage with real settings, sending by framed TCP."""
    settings = copy.deepcopy(real[0])  # tests change them
    return Play(tmp_path, settings, arguments=["address", doors.tcp])


def by(play: Play, transport: str, wire_settings) -> Play:
    """The same play by another transport."""
    if transport == "jeromq":
        play.jar = jeromq()
        play.arguments = ["transport", "jeromq", "address", wire_settings.frames]
    return play


def images(n: int, shape=SHAPE, dtype=np.int16) -> np.ndarray:
    low = np.iinfo(dtype).min // 40  # negative values are in every real recording
    return RNG.integers(low, 3000, (n, *shape)).astype(dtype)


def performed(play: Play, wire_settings) -> tuple[Listening, str]:
    with Listening(wire_settings) as listening:
        return listening, listening.until_ended(play.start())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_loop_arrives_as_it_was_scanned(play, real, doors, transport):
    _, stamps = real
    # ScanImage displays channels 2 and 4: their images lie first and second.
    shown = images(2 * 40).reshape(40, 2, *SHAPE)
    by(play, transport, doors).mode = "loop"
    play.settings["hScan2D"] |= {"logFileStem": "µ-Maus", "logFileCounter": 7}
    play.event("acqModeStart")
    for i, (number, t) in enumerate(stamps[:40]):
        kind = "int32" if i % 2 else "int16"  # as the rolling average leaves them
        play.frame(number, t, scan_field(shown[i], channels=(2, 4)), kind=kind)
        if i % 10 == 9:
            play.event("frameAcquired")  # flyback: the buffer is as it was
            play.event("acqDone")  # of one of the loop's acquisitions
    play.event("acqModeDone")
    play.event("applicationWillClose")

    listening, said = performed(play, doors)

    begun = listening.starts()[0]
    assert (begun.source, begun.rate_hz) == ("ScanImage 2021.1", 19.4098)
    assert (begun.shape, begun.dtype, begun.channels) == (SHAPE, "int16", [2, 4])
    assert (begun.meta["mode"], begun.meta["zoom"]) == ("loop", 1.4)
    assert begun.meta["log_file_stem"] == "µ-Maus"
    assert len({m.session for m, _ in listening.messages}) == 1
    frames = listening.frames()
    assert np.array_equal([pixels for _, pixels in frames], shown.reshape(-1, *SHAPE))
    assert [(m.frame, m.channel) for m, _ in frames] == [
        (number, channel) for number, _ in stamps[:40] for channel in (2, 4)
    ]
    assert [m.t for m, _ in frames[::2]] == pytest.approx([t for _, t in stamps[:40]])
    assert "rtrecon: 80 frames sent, 0 dropped, 4 repeats and 0 without" in said
    assert "the display averages 22 frames" in said
    _accepted_whole(listening, 80)


def _accepted_whole(listening: Listening, n_frames: int) -> None:
    """The daemon's own door takes every frame, misses none, and hears the end."""
    ingest = Ingest()
    verdicts = [ingest.accept(m) for m, _ in listening.messages]
    assert [v.sentence for v in verdicts if v.kind is Kind.REFUSED] == []
    assert verdicts[-1].kind is Kind.END
    assert ingest.counts.accepted == n_frames
    assert ingest.counts.gaps == messages.Gaps()
    assert (listening.ends()[-1].frames, listening.ends()[-1].dropped) == (n_frames, 0)


def test_a_volume_is_sent_plane_by_plane_without_its_flyback(play, doors):
    settings = play.settings
    settings["hStackManager"] |= {
        "enable": True,
        "stackMode": "fast",
        "numSlices": 3,
        "zs": [-20.0, 0.0, 20.0],
        "numFramesPerVolumeWithFlyback": 4,
    }
    settings["hRoiManager"] |= {"scanVolumeRate": 4.85}
    shown = images(9)
    play.event("acqModeStart")
    for number in range(1, 13):
        volume, k = divmod(number - 1, 4)
        if k == 3:
            play.frame(number, number / 19.4)  # no scan field has an image
            continue
        z = [20.0 * k - 20.0]
        play.frame(number, number / 19.4, scan_field(shown[3 * volume + k][None], zs=z))
    play.event("acqModeDone")

    listening, said = performed(play, doors)

    begun = listening.starts()[0]
    assert (begun.planes, begun.rate_hz) == ([-20.0, 0.0, 20.0], 4.85)
    placed = [(m.frame, m.plane) for m, _ in listening.frames()]
    assert placed == [(volume, plane) for volume in (1, 2, 3) for plane in range(3)]
    assert np.array_equal([pixels for _, pixels in listening.frames()], shown)
    assert "9 frames sent, 0 dropped, 0 repeats and 3 without an image" in said
    _accepted_whole(listening, 9)


@pytest.mark.parametrize(
    ("rois", "sent"), [([], ["A1"]), (["rois", [1, 2]], ["A1", "B2"])]
)
def test_of_several_scan_fields_those_asked_for_are_sent(play, doors, rois, sent):
    play.settings["hRoiManager"]["mroiEnable"] = True
    play.arguments += rois
    fields = {"A1": images(3), "B2": images(3, (10, 14))}
    for i in range(3):
        parts = [scan_field(v[i][None], uuid=k) for k, v in fields.items()]
        play.frame(i + 1, i / 10, *parts)
    play.event("acqModeDone")

    listening, said = performed(play, doors)

    told = listening.starts()[0].rois
    assert told == [{"id": k, "shape": list(fields[k].shape[1:])} for k in sent]
    assert [m.roi for m, _ in listening.frames()] == 3 * sent
    for header, pixels in listening.frames():
        assert np.array_equal(pixels, fields[header.roi][header.frame - 1])
    assert ("1 of 2 scan fields are sent" in said) == (len(sent) == 1)


def test_every_press_of_a_button_is_a_session_of_its_own(play, doors):
    shown = images(8, dtype=np.uint16)
    play.settings["hScan2D"]["channelsDataType"] = "uint16"

    def scan(*numbers):
        for number in numbers:
            play.frame(
                number, number / 30, scan_field(shown[number - 1][None]), kind="uint16"
            )

    play.event("focusStart")
    scan(1, 2)
    play.event("focusDone")
    play.event("acqModeStart")
    scan(1, 2, 3)
    play.event("acqAbort")
    play.event("acqModeDone")
    scan(6, 7)  # its start was missed, and its end never comes
    play.event("acqModeStart")
    scan(1)
    scan(4)
    scan(2)  # the counter restarts: another acquisition, of which nobody told
    play.event("acqAbort")

    listening, said = performed(play, doors)

    of = [(m.session, m.frame) for m, _ in listening.frames()]
    sessions = list(dict.fromkeys(session for session, _ in of))
    numbers = [[n for s, n in of if s == session] for session in sessions]
    assert numbers == [[1, 2], [1, 2, 3], [6, 7], [1, 4], [2]]
    assert [m.session for m in listening.ends()] == sessions
    assert [m.reason for m in listening.ends()][:2] == ["done", "aborted"]
    assert {m.dtype for m, _ in listening.frames()} == {"uint16"}
    assert said.count("frames sent, 0 dropped") == 5


def test_what_is_asked_for_and_not_delivered_is_said(play, doors):
    play.arguments += ["channels", [3, 1]]
    play.frame(1, 0.0, scan_field(images(2), channels=(1, 2)))
    play.event("acqModeDone")
    listening, said = performed(play, doors)
    assert "channel 3 is asked for but not delivered; tick Display" in said
    assert [m.channel for m, _ in listening.frames()] == [1]


def test_focus_can_be_left_out(play, doors):
    play.arguments += ["focus", False]
    play.mode = "focus"
    play.event("focusStart")
    play.frame(1, 0.0, scan_field(images(1)))
    play.event("focusDone")
    listening, said = performed(play, doors)
    assert (listening.messages, said) == ([], "")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_absent_daemon_costs_nothing(play, doors, transport):
    by(play, transport, doors)
    play.event("acqModeStart")
    for number in range(1, 61):
        play.frame(number, number / 30, scan_field(images(1)))
    play.event("acqModeDone")
    play.event("applicationWillClose")
    said = finished(play.start())
    assert "0 frames sent, 60 dropped" in said
    assert f"no daemon at {play.arguments[-1]}" in said
    assert np.median(play.cost_ms()) < 100.0  # waiting would cost far more


def test_a_daemon_that_takes_nothing_holds_up_nothing(play, doors):
    for number in range(1, 41):
        play.frame(number, number / 30, scan_field(images(1, (400, 400))))
    play.event("acqModeDone")
    host, port = doors.tcp.removeprefix("tcp://").split(":")
    with socket.create_server((host, int(port))):  # connects, and is never served
        said = finished(play.start())
    # 16 messages may be under way, of which the first is the start.
    assert "15 frames sent, 25 dropped" in said
    assert f"the daemon at {doors.tcp} is behind" in said
    assert np.median(play.cost_ms()) < 100.0  # waiting would cost far more


def test_it_gives_up_after_errors_and_begins_again(play, doors):
    broken = {"frame": [], "t": 0.0, "fields": [], "type": "int16"}
    play.event("acqModeStart")
    for _ in range(20):
        play.event("frameAcquired", broken)
    play.event("acqModeStart")
    play.frame(1, 0.0, scan_field(images(1)))
    play.event("acqModeDone")
    listening, said = performed(play, doors)
    first, last = said.splitlines()[:2]
    assert first.startswith("rtrecon: ")
    assert last.startswith("rtrecon: off until the next acquisition, after 5 errors")
    assert "1 frames sent, 0 dropped" in said
    assert len(listening.frames()) == 1


def test_a_wrong_argument_is_said_once(play, doors):
    play.arguments = ["adress", doors.tcp]
    play.event("acqModeStart")
    _, said = performed(play, doors)
    assert said.startswith("rtrecon: 'adress' is no argument; there are: channels, ")
    assert len(said.splitlines()) == 1


CASES = {  # whose keys the sender has: what is said, how many frames arrive
    "own": ("3 frames sent, 0 dropped", 3),
    "": ("it asks for a token", 0),
    "other": ("it does not know the token", 0),
}


@pytest.mark.parametrize("whose", CASES)
def test_a_daemon_with_keys_takes_only_who_knows_the_token(
    play, doors, tmp_path, whose
):
    sentence, n_frames = CASES[whose]
    make_keys(tmp_path / "own")
    make_keys(tmp_path / "other")
    if whose:
        play.arguments += ["keys", str(tmp_path / whose)]
    play.rate_hz = 30.0
    play.event("acqModeStart")
    for number in (1, 2, 3):
        play.frame(number, number / 30, scan_field(images(1)))
    play.event("acqModeDone")
    guarded = doors.model_copy(update={"keys": str(tmp_path / "own")})
    listening, said = performed(play, guarded)
    assert sentence in said
    assert len(listening.frames()) == n_frames


def test_an_old_jeromq_with_keys_sends_nothing_unencrypted(play, doors, tmp_path):
    make_keys(tmp_path / "own")
    by(play, "jeromq", doors).arguments += ["keys", str(tmp_path / "own")]
    play.event("acqModeStart")
    play.frame(1, 0.0, scan_field(images(1)))
    listening, said = performed(play, doors)
    assert "JeroMQ knows of keys from version 0.5 on" in said
    assert listening.messages == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_when_the_doors_open_again_frames_go_on(play, doors, transport):
    n_frames, shown = 240, images(240)
    by(play, transport, doors).rate_hz = 60.0
    play.event("acqModeStart")
    for i in range(n_frames):
        play.frame(i + 1, i / 60, scan_field(shown[i][None]))
    play.event("acqModeDone")
    play.event("applicationWillClose")

    process = play.start()
    with Listening(doors) as before:
        before.until(lambda: len(before.frames()) >= 30)
    with Listening(doors) as after:
        said = after.until_ended(process)

    if transport == "tcp":  # which knows that this is another connection
        assert isinstance(after.messages[0][0], messages.Start)
    assert {m.session for m, _ in after.messages} == {before.starts()[0].session}
    for header, pixels in before.frames() + after.frames():
        assert np.array_equal(pixels, shown[header.frame - 1])
    (end,) = after.ends()
    assert end.frames + end.dropped == n_frames
    assert f"{end.frames} frames sent, {end.dropped} dropped" in said
    newest = [m.frame for m, _ in after.frames()]
    assert newest == list(range(newest[0], n_frames + 1))


def test_a_daemon_killed_and_restarted_goes_on_with_the_session(tmp_path, real):
    settings = small_settings(tmp_path)
    arguments = ["address", settings.wire.tcp]
    play = Play(tmp_path, real[0], rate_hz=30.0, arguments=arguments)
    frames = small_frames()
    play.event("acqModeStart")
    for i in range(2000):
        play.frame(i + 1, i / 30, scan_field(frames[i % len(frames)][None]))

    def has_processed(daemon, count):
        return lambda: daemon.health() and daemon.health().frames_processed >= count

    with Daemon(tmp_path, settings) as first:
        process = play.start()
        try:
            first.until(has_processed(first, N_TEMPLATE + 30), SLOW_S)
            first.kill()
            with Daemon(tmp_path, settings, wait=False) as second:
                second.until(has_processed(second, 30), SLOW_S)
        finally:
            process.kill()
            process.communicate()
    assert second.health().session == first.health().session != ""
    # What could not be sent while a daemon was coming up is lost at the source.
    assert (second.health().gaps.wire, second.health().rejected) == (0, 0)


def test_psychtoolbox_tells_when_each_frame_was_shown(doors):
    listening = Listening(doors)
    code = f"""
        clock = @() 100;  % stands still: what was shown 0.25 s ago stays so
        rtrecon_stimulus('begin', 'clip', 'clouds', 'address', '{doors.tcp}', ...
                         'clock', clock);
        image = reshape(uint8(0:5), 2, 3);
        rtrecon_stimulus('flip', image, 12, 99.75);
        rtrecon_stimulus('flip', cat(3, image, image + 2, image + 1), 13);
        rtrecon_stimulus('end')
    """
    with listening:
        said = listening.until_ended(start(code))
    (first, image), (second, coloured) = listening.messages
    assert (first.clip, first.index, second.index) == ("clouds", 12, 13)
    assert image.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert np.array_equal(coloured, image + 1)
    assert 0.2 < second.t_send - first.t_send < 5.0
    assert said == "rtrecon: 2 stimulus frames sent, 0 dropped\n"


def test_events_are_heard(doors):
    jar = jeromq()
    process = start(f"""
        javaaddpath('{jar}');
        act = @(e) printf('%s: %s %g\\n', e.name, e.message, e.value);
        while isempty(rtrecon_events('address', '{doors.publish}')), end
        rtrecon_listen(act, 0.5)
    """)
    context = zmq.Context()
    with sockets.bind(context, zmq.PUB, doors.publish) as out:
        publisher = Publisher(out)
        while process.poll() is None:
            publisher.send(messages.Quality, index=1, lag=0.1)  # nobody asked for these
            publisher.send(messages.Event, name="rule", message="lick", value=0.5)
            time.sleep(0.02)
    context.term()
    assert set(finished(process).splitlines()) == {"rule: lick 0.5"}
