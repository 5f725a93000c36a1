"""Stimulus and behaviour of senders with right and wrong clocks, on encoder frames."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import LightSettings, ScreenSettings, Settings
from rtrecon.daemon.auxiliary_alignment import AuxiliaryAlignment
from rtrecon.imaging.timing.screen_timing import PictureOnset
from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages
from rtrecon.stimulus_space.video import VIDEO

RATE_HZ, NOW_S = 30.0, 1.7e9
IMAGE = np.zeros((36, 64), np.uint8)
NO_IMAGE = np.empty(0, np.uint8)


class RecordedOutput:
    """Holds what is published and recorded, in place of `PipelineOutput`."""

    def __init__(self) -> None:
        self.stimuli: list[tuple[str, int]] = []  # clip, encoder frame
        self.behavior_s: list[float | None] = []
        self.onsets: list[PictureOnset] = []
        self.latency: dict[str, LatencyHistogram] = {}

    def send_stimulus(self, index: int, clip: str, _image: object) -> None:
        self.stimuli.append((clip, index))

    def record_onset(self, onset: PictureOnset) -> None:
        self.onsets.append(onset)

    def record_sync_edge(self, _message: messages.SyncEdge) -> None:
        pass

    def record_behavior(self, message: messages.BehaviorSample) -> None:
        self.behavior_s.append(message.t)


class Rig:
    """Sends frame k, stimulus k and behaviour k at k / RATE_HZ.

    error_s: how far the clock of stimulus and behaviour is ahead.
    """

    def __init__(
        self,
        error_s: float,
        *,
        corrects_clocks: bool = True,
        settings: Settings | None = None,
    ) -> None:
        self.error_s = error_s
        self.output = RecordedOutput()
        self.alignment = AuxiliaryAlignment(
            RATE_HZ,
            self.output,
            corrects_clocks=corrects_clocks,
            space=VIDEO,
            settings=settings or Settings(),
        )
        self.n_sent = 0

    def run(self, n_frames: int) -> None:
        for k in range(self.n_sent, self.n_sent + n_frames):
            t_s = k / RATE_HZ
            if k == 0:
                self.alignment.start_session(0.0, RATE_HZ)
            wall_s = NOW_S + t_s
            frame = messages.Frame(
                session="m", seq=k, frame=k + 1, t=t_s, t_send=wall_s, shape=(1, 1)
            )
            self.alignment.add_frame(frame, t_s)
            self.send(k, wall_s + self.error_s, t_s)
        self.n_sent += n_frames

    def send(self, k: int, t_send: float, now_s: float) -> None:
        stimulus = messages.StimulusFrame(
            session="p", seq=k, clip=str(k), index=k, t_send=t_send
        )
        assert self.alignment.add_timed_message(stimulus, IMAGE, now_s) is None
        sample = messages.BehaviorSample(
            session="e", seq=k, t_send=t_send, pupil_dilation=1.0
        )
        assert self.alignment.add_timed_message(sample, NO_IMAGE, now_s) is None


@pytest.mark.parametrize("error_s", [0.0, 2.5, 3600.0, -7.0])
def test_no_stimulus_is_lost_and_each_is_placed_at_its_frame(error_s):
    rig = Rig(error_s)
    rig.run(360)
    rig.alignment.release_held(99.0, is_ending=True)
    assert rig.output.stimuli == [(str(k), k) for k in range(360)]
    assert rig.output.behavior_s == pytest.approx(np.arange(360) / RATE_HZ, abs=1e-3)


def send_stimuli(rig: Rig, times_s: list[float], session: str = "p") -> None:
    for k, t_s in enumerate(times_s):
        stimulus = messages.StimulusFrame(
            session=session, seq=k, clip=str(k), index=k, t=t_s
        )
        assert rig.alignment.add_timed_message(stimulus, IMAGE, t_s) is None


@pytest.mark.parametrize("screen_hz", [5, 10, 24, 25, 29.97, 30, 59.94, 60, 120, 144])
def test_each_encoder_frame_has_one_picture_at_any_refresh_rate(screen_hz):
    rig = Rig(0.0)
    rig.alignment.start_session(0.0, RATE_HZ)
    times_s = [k / screen_hz for k in range(round(4 * screen_hz))]
    send_stimuli(rig, times_s)
    frames = [frame for _, frame in rig.output.stimuli]
    assert frames == list(range(frames[-1] + 1))
    assert frames[-1] >= 4 * RATE_HZ - RATE_HZ / screen_hz - 1
    begin = RATE_HZ * np.array([*times_s, times_s[-1] + 1 / screen_hz])
    for clip, frame in rig.output.stimuli:  # the screen shows it in this frame
        assert begin[int(clip)] <= frame + 0.5 + 1e-9
        assert begin[int(clip) + 1] >= frame - 0.5 - 1e-9


def test_a_jittering_stimulus_leaves_no_encoder_frame_without_a_picture():
    rng = np.random.default_rng(0)
    rig = Rig(0.0)
    rig.alignment.start_session(0.0, RATE_HZ)
    jitter_s = rng.uniform(-0.015, 0.015, 300)
    send_stimuli(rig, ((np.arange(300) + 0.5) / RATE_HZ + jitter_s).tolist())
    frames = [frame for _, frame in rig.output.stimuli]
    assert frames == list(range(frames[0], frames[-1] + 1))


def test_a_pause_of_the_stimulus_program_is_not_filled():
    rig = Rig(0.0)
    rig.alignment.start_session(0.0, RATE_HZ)
    send_stimuli(rig, [0.0, 1 / RATE_HZ, 2.0])
    assert [frame for _, frame in rig.output.stimuli] == [0, 1, 60]


def test_two_stimulus_programs_are_both_recorded():
    rig = Rig(0.0)
    rig.alignment.start_session(0.0, RATE_HZ)
    for program in ("p", "q"):
        send_stimuli(rig, [k / RATE_HZ for k in range(5)], program)
    assert sorted(frame for _, frame in rig.output.stimuli) == sorted([*range(5)] * 2)


@pytest.mark.parametrize("step_s", [2.0, -2.0, 3600.0])
def test_a_clock_that_is_set_misplaces_no_stimulus(step_s):
    rig = Rig(0.0)
    rig.run(180)
    rig.error_s = step_s
    rig.run(180)
    rig.alignment.release_held(99.0, is_ending=True)
    assert sorted(rig.output.stimuli, key=lambda item: int(item[0])) == [
        (str(k), k) for k in range(360)
    ]


def test_both_clocks_are_reported_once():
    rig = Rig(12.3)
    rig.run(360)
    sentences = rig.alignment.take_notices()
    assert [sentence.split(" is ")[0] for sentence in sentences] == [
        "the clock of the stimulus computer",
        "the clock of the behavior computer",
    ]
    assert rig.alignment.take_notices() == []


def test_a_right_clock_is_not_held_back():
    rig = Rig(0.0)
    rig.run(1)
    assert rig.output.stimuli == [("0", 0)]


def test_a_deterministic_run_uses_the_wall_clock_alone():
    rig = Rig(2.5, corrects_clocks=False)
    rig.run(60)
    assert rig.output.stimuli[0] == ("0", 75)
    assert rig.alignment.take_notices() == []


def test_messages_are_not_held_for_long_when_nothing_can_be_decided():
    rig = Rig(5.0)
    rig.run(1)
    assert rig.output.stimuli == []
    rig.alignment.release_held(5.1)
    assert len(rig.output.stimuli) == 1


def test_messages_without_time_or_pixels_are_refused():
    alignment = Rig(0.0).alignment
    no_time = messages.BehaviorSample(session="e", seq=0)
    no_pixels = messages.StimulusFrame(session="p", seq=0, clip="c", index=0, t=0.0)
    assert "has no time" in str(alignment.add_timed_message(no_time, NO_IMAGE, 0.0))
    assert "has no pixels" in str(alignment.add_timed_message(no_pixels, NO_IMAGE, 0.0))


def test_a_stimulus_of_another_space_is_refused_with_a_sentence():
    rig = Rig(0.0)
    sound = messages.StimulusFrame(
        session="p", seq=0, clip="bird", index=0, t_send=NOW_S, space="sound"
    )
    refusal = rig.alignment.add_timed_message(sound, IMAGE, 0.0)
    assert refusal is not None
    assert "is of the space 'sound', but the encoder was trained on video" in refusal


def send_edge(rig: Rig, line: int, value: int, t_s: float) -> None:
    edge = messages.SyncEdge(
        session="m", seq=0, t_send=NOW_S + t_s, line=line, value=value, t=t_s
    )
    rig.alignment.add_sync_edge(edge, NOW_S + t_s)


def test_a_photodiode_corrects_the_times_of_the_stimulus():
    rig = Rig(0.0, settings=Settings(screen=ScreenSettings(photodiode_line=3)))
    for k in range(90):
        rig.run(1)
        send_edge(rig, 3, k % 2, k / RATE_HZ + 0.1)  # each picture is 100 ms late
    assert rig.output.stimuli[0] == ("0", 0)  # nothing was known yet
    assert rig.output.stimuli[-1] == ("89", 92)
    assert len(rig.output.onsets) > 60
    assert "100 ms after its sender's time" in rig.alignment.take_screen_notices()[0]
    assert rig.output.latency["monitor_lag"].percentiles().n == len(rig.output.onsets)


def test_a_light_line_marks_frames():
    rig = Rig(0.0, settings=Settings(light=LightSettings(stimulation_line=4)))
    rig.run(3)
    send_edge(rig, 4, 1, 0.1)
    assert rig.alignment.light.find_reason(0.05, 0.08) == ""
    assert rig.alignment.light.find_reason(0.08, 0.12) == "stimulation light"
