"""What a stimulus program in Python sends, as PsychoPy would, but without a window."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import make_settings
from rtrecon.transport.keys import make_keys
from tests.support.octave import MessageCollector
from tests.support.paths import BRIDGE

PROGRAM = BRIDGE / "python" / "stimulus.py"
N_FRAMES = 30


@pytest.fixture
def movie(tmp_path):
    """A movie in a file, and its images."""
    images = np.random.default_rng(0).integers(0, 256, (N_FRAMES, 6, 8))
    np.save(tmp_path / "clouds.npy", images.astype(np.uint8))
    return tmp_path / "clouds.npy", images


def play(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments), "--no-window"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.parametrize("keys", [None, "own", "other"])
def test_the_stimulus_program_sends_images_and_times(tmp_path, movie, keys):
    path, images = movie
    settings = make_settings(tmp_path).network
    for folder in ("own", "other"):
        make_keys(tmp_path / folder)
    arguments = [path, "--address", settings.frames, "--rate", 60]
    if keys:
        arguments += ["--keys", tmp_path / keys]
        settings = settings.model_copy(update={"keys": tmp_path / "own"})
    if keys == "other":
        arguments += ["--wait", 0.5]  # in vain
    began_s = time.time()
    with MessageCollector(settings) as collector:
        output = collector.collect_until_ended(play(*arguments))
    if keys == "other":
        assert collector.received == []
        assert "no daemon at" in output
        assert f"0 stimulus frames sent, {N_FRAMES} lost" in output
        return
    assert output == f"{N_FRAMES} stimulus frames sent, 0 lost\n"
    headers = [header for header, _ in collector.received]
    assert all(isinstance(header, messages.StimulusFrame) for header in headers)
    assert np.array_equal([image for _, image in collector.received], images)
    assert [(h.seq, h.index, h.clip) for h in headers] == [
        (i, i, "clouds") for i in range(N_FRAMES)
    ]
    shown_s = np.array([header.t_send for header in headers])
    assert began_s < shown_s[0]
    assert shown_s[-1] < time.time()
    assert (np.diff(shown_s) > 0).all()


def test_the_daemon_chooses_the_next_of_several_movies(tmp_path, movie):
    path, images = movie
    for name in ("rain", "sea"):
        np.save(tmp_path / f"{name}.npy", images.astype(np.uint8))
    settings = make_settings(tmp_path).network
    arguments = [path, tmp_path / "rain.npy", tmp_path / "sea.npy", "--rate", 30]
    arguments += ["--address", settings.frames, "--publish", settings.publish]
    with MessageCollector(settings) as collector:
        process = play(*arguments)
        collector.collect_until(lambda: bool(collector.received))
        for seq, clip in enumerate(("unknown", "sea")):
            fields = {"session": "s", "t": 0.0, "name": "next_clip"}
            collector.publish(messages.Event(seq=seq, clip=clip, **fields))
        output = collector.collect_until_ended(process)
    assert output == f"{3 * N_FRAMES} stimulus frames sent, 0 lost\n"
    names = [header.clip for header, _ in collector.received]
    assert list(dict.fromkeys(names)) == ["clouds", "sea", "rain"]


def test_the_stimulus_program_refuses_other_arrays(tmp_path):
    np.save(tmp_path / "loud.npy", np.zeros((2, 3, 4)))
    process = play(tmp_path / "loud.npy")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "float64 [2, 3, 4]" in complaint


def test_the_stimulus_program_does_not_import_rtrecon():
    text = PROGRAM.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(import|from) rtrecon", text, re.M)
