"""Micro-Manager snaps a time-lapse: positions, channels, and light only in between."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from scipy import ndimage

from rtrecon.config import ClosedLoopSettings, LiveDishSettings
from rtrecon.core.errors import UserError
from rtrecon.interfaces.micromanager_time_lapse import MicroManagerTimeLapse
from rtrecon.interfaces.moment_schedule import TimeLapsePlan
from rtrecon.interfaces.request_subscriber import RequestSubscriber
from rtrecon.interfaces.stage_positions import StagePosition, read_positions
from rtrecon.replay.recording import forward_live_source
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from rtrecon.sources import RecordingError
from rtrecon.testing.daemon_process import DaemonProcess, make_settings
from rtrecon.testing.frame_receiver import FrameReceiver
from tests.support.command_line import run_here

SHAPE = (12, 16)
PLACES = (StagePosition("A", 10.0, 1.0), StagePosition("B", 20.0, 2.0, 5.0))
INTERVAL_S = 0.05


class Microscope:
    """A core with camera, stage, focus and filter written in Python; no drivers.

    An image has the value x + z + 100 for the second filter. n_failing: images in a row
    that fail.
    """

    def __init__(self, unicore) -> None:
        self.place, self.height, self.filter = (0.0, 0.0), 0.0, "GFP"
        self.n_images = self.n_failing = 0
        self.shape, self.dtype = SHAPE, np.uint8
        self.core = unicore.UniMMCore()
        for label, device in self._make_devices(unicore).items():
            self.core.loadPyDevice(label, device)
            self.core.initializeDevice(label)
        self.core.setCameraDevice("Camera")
        self.core.setXYStageDevice("XY")
        self.core.setFocusDevice("Z")
        for preset in ("GFP", "Cy5"):
            self.core.defineConfig("Channel", preset, "Filter", "Color", preset)

    def snap(self, buffer) -> dict:
        if self.n_failing:
            self.n_failing -= 1
            raise RuntimeError("the camera is unplugged")
        self.n_images += 1
        buffer[:] = self.place[0] + self.height + 100 * (self.filter == "Cy5")
        return {}

    def _make_devices(scope, unicore):
        class Camera(unicore.SimpleCameraDevice):
            def sensor_shape(self):
                return scope.shape

            def dtype(self):
                return scope.dtype

            def get_exposure(self):
                return 1.0

            def set_exposure(self, exposure):
                pass

            def snap(self, buffer):
                return scope.snap(buffer)

        class Stage(unicore.XYStageDevice):
            def set_position_um(self, x, y):
                scope.place = (x, y)

            def get_position_um(self):
                return scope.place

            def set_origin_x(self):
                pass

            def set_origin_y(self):
                pass

            def home(self):
                pass

            def stop(self):
                pass

        class Focus(unicore.StageDevice):
            def set_position_um(self, z):
                scope.height = z

            def get_position_um(self):
                return scope.height

            def set_origin(self):
                pass

            def home(self):
                pass

            def stop(self):
                pass

        class Filter(unicore.GenericDevice):
            def __init__(self):
                super().__init__()
                self.register_property(
                    "Color",
                    default_value="GFP",
                    getter=lambda _: scope.filter,
                    setter=lambda _, value: setattr(scope, "filter", value),
                )

        return {"Camera": Camera(), "XY": Stage(), "Z": Focus(), "Filter": Filter()}


@pytest.fixture
def microscope(monkeypatch):
    # Without this, pymmcore looks for Qt, which tests of the display may have started.
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    unicore = pytest.importorskip(
        "pymmcore_plus.experimental.unicore", reason="pymmcore-plus is not installed"
    )
    microscope = Microscope(unicore)
    yield microscope
    microscope.core.unloadAllDevices()


def test_each_moment_has_every_position_and_channel(microscope, free_address):
    plan = TimeLapsePlan(INTERVAL_S, PLACES, ("GFP", "Cy5"), "Channel", n_moments=3)
    source = MicroManagerTimeLapse(microscope.core, plan)
    assert (source.shape, source.dtype, len(source.planes)) == (SHAPE, np.uint16, 2)
    address = free_address()
    with FrameReceiver(address) as receiver:
        report = forward_live_source(source, address)
    frames = [
        (header.frame, header.plane, header.channel, int(pixels[0, 0]))
        for header, pixels in receiver.frames()
    ]
    assert frames == [
        (moment, plane, channel, value)
        for moment in (1, 2, 3)
        for plane, channel, value in [(0, 1, 10), (0, 2, 110), (1, 1, 25), (1, 2, 125)]
    ]
    assert report.frames_dropped == 0
    start = receiver.received[0][0]
    assert start.rate_hz == pytest.approx(1 / INTERVAL_S)
    assert start.meta["channel_names"] == ["GFP", "Cy5"]
    assert start.meta["positions"][1] == {
        "name": "B",
        "x_um": 20.0,
        "y_um": 2.0,
        "z_um": 5.0,
    }


def test_moments_are_at_least_an_interval_apart_and_nothing_is_exposed_between(
    microscope,
):
    plan = TimeLapsePlan(0.2, n_moments=3)
    with MicroManagerTimeLapse(microscope.core, plan) as source:
        began_s, n_before = time.monotonic(), microscope.n_images
        times_s = [frame.t_s for frame in source.frames()]
    assert time.monotonic() - began_s >= 0.4
    assert np.all(np.diff(times_s) >= 0.15)
    assert microscope.n_images - n_before == 3
    assert not microscope.core.isSequenceRunning()


def test_an_image_that_fails_is_left_out_and_mentioned(microscope):
    plan = TimeLapsePlan(0.01, n_moments=4)
    with MicroManagerTimeLapse(microscope.core, plan) as source:
        frames = source.frames()
        assert next(frames).number == 1
        microscope.n_failing = 1
        assert [frame.number for frame in frames] == [3, 4]


def test_a_camera_that_keeps_failing_ends_the_time_lapse(microscope):
    with MicroManagerTimeLapse(microscope.core, TimeLapsePlan(0.01)) as source:
        microscope.n_failing = 100
        with pytest.raises(RecordingError, match="took no image at 3 moments; frame 3"):
            list(source.frames())


def test_a_change_of_the_binning_is_explained(microscope):
    with MicroManagerTimeLapse(microscope.core, TimeLapsePlan(0.01)) as source:
        microscope.shape = (6, 8)
        with pytest.raises(RecordingError, match="was the binning changed"):
            list(source.frames())


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (TimeLapsePlan(1.0, channels=("DAPI",), channel_group="Channel"), "GFP"),
        (TimeLapsePlan(1.0, channels=("GFP",), channel_group="No"), "groups: Channel"),
        (TimeLapsePlan(0.0), "an interval of 0 s is impossible"),
    ],
)
def test_a_plan_that_cannot_be_imaged_is_refused(microscope, plan, words):
    with pytest.raises(RecordingError, match=words):
        MicroManagerTimeLapse(microscope.core, plan)


class DishMicroscope(Microscope):
    """Takes pictures of a dish that is in focus at 4 um."""

    def __init__(self, unicore, picture) -> None:
        self.picture = picture
        super().__init__(unicore)
        self.shape, self.dtype = picture.shape, np.uint16

    def snap(self, buffer) -> dict:
        self.n_images += 1
        blur_px = abs(self.height - 4.0)
        buffer[:] = ndimage.gaussian_filter(self.picture.astype(float), blur_px)
        return {}


@pytest.fixture
def dish_microscope(monkeypatch):
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    unicore = pytest.importorskip(
        "pymmcore_plus.experimental.unicore", reason="pymmcore-plus is not installed"
    )
    scene = DishScene(seed=3, side_px=192, n_neurons=4, n_frames=1, n_bad_frames=0)
    picture = next(iter(film_dish(scene))).image
    microscope = DishMicroscope(unicore, picture)
    yield microscope
    microscope.core.unloadAllDevices()


def test_a_daemon_s_rules_ask_for_images_and_focus_over_the_wire(
    dish_microscope, tmp_path
):
    rule = {"refractory_s": 3600.0, "outputs": ["more", "sharp", "greedy"]}
    closed_loop = {
        "rules": [{"name": "alive", "when": "dish.bodies > 0", **rule}],
        "micromanager": {
            "more": {"light_budget_s": 1.0, "interval_s": 0.4, "duration_s": 1.2},
            "sharp": {"light_budget_s": 1.0, "refocus": True},
            "greedy": {"light_budget_s": 1e-4, "position": "A"},
        },
    }
    settings = make_settings(
        tmp_path,
        dish=LiveDishSettings(enabled=True, um_per_px=0.8),
        closed_loop=ClosedLoopSettings.model_validate(closed_loop),
    )
    places = (StagePosition("A", 0.0, 0.0, 1.0),)
    plan = TimeLapsePlan(6.0, places, n_moments=3)
    with DaemonProcess(tmp_path, settings) as daemon:
        network = settings.network
        requests = RequestSubscriber(network.publish, None, network.control)
        sentences = []
        source = MicroManagerTimeLapse(
            dish_microscope.core, plan, requests, sentences.append
        )
        forward_live_source(source, network.frames, may_wait=True)
        daemon.wait_until(lambda: daemon.newest_health().frames_processed == 6)
        marks = [event.message for event in daemon.events_named("mark")]
    assert marks == sentences
    [fired] = daemon.events_named("rule_fired")
    outputs = [request.output for request in fired.requests]
    assert outputs == ["more", "sharp", "greedy"]
    assert sentences[0].startswith("request 'more' is carried out: it adds 0.003 s")
    assert sentences[1].startswith("request 'sharp' is carried out: it adds 0.009 s")
    assert sentences[2].startswith("request 'greedy' is refused (1 so far): it needs")
    assert sentences[3:] == ["position 1 is refocused by +3.0 um"]
    assert dish_microscope.height == pytest.approx(4.0, abs=0.3)
    times_s = np.array(daemon.recordings(fired.session)[0].frames["t_microscope_s"])
    assert np.sum(np.diff(times_s) < 1.0) >= 2


OLD_LIST = {
    "POSITIONS": [
        {
            "LABEL": "A",
            "DEVICES": [
                {"DEVICE": "Z", "AXES": 1, "X": 5.0},
                {"DEVICE": "XY", "AXES": 2, "X": 1.5, "Y": -2.0},
            ],
        }
    ]
}
NEW_LIST = {
    "map": {
        "StagePositions": {
            "array": [
                {
                    "Label": {"scalar": "A"},
                    "DevicePositions": {
                        "array": [
                            {"Position_um": {"array": [1.5, -2.0]}},
                            {"Position_um": {"array": [5.0]}},
                        ]
                    },
                }
            ]
        }
    }
}


@pytest.mark.parametrize("content", [OLD_LIST, NEW_LIST], ids=["1.4", "2"])
def test_the_position_lists_of_both_versions_are_read(tmp_path, content):
    path = tmp_path / "a.pos"
    path.write_text(json.dumps(content))
    assert read_positions(path) == [StagePosition("A", 1.5, -2.0, 5.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [("no json", "is no position list"), ("{}", "lacks"), ("[]", "lacks")],
)
def test_a_file_that_is_no_position_list_is_refused(tmp_path, text, words):
    path = tmp_path / "a.pos"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_positions(path)


def test_positions_need_a_time_lapse(tmp_path):
    done = run_here("micromanager", tmp_path / "a.cfg", "--positions", "a.pos")
    assert done.returncode == 2
    assert "need --every" in done.stderr.replace("\n", "")
