"""The commands as a user types them; what he gets wrong is answered in a sentence."""

from __future__ import annotations

import io
import json
import re
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import pytest
from PySide6.QtGui import QImage
from typer.main import get_command

from rtrecon import config
from rtrecon.cli import app, main
from rtrecon.config import EncoderSettings, NetworkSettings, Settings
from rtrecon.session.session import Session as Record
from rtrecon.session.session import list_sessions
from rtrecon.sources.video import read_clip
from rtrecon.testing.daemon_process import BackgroundProcess, make_settings, run_command
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from rtrecon.testing.simulated_microscope import make_small_settings

# command -> options that a user's guide relies on
OPTIONS = {
    "run": (),
    "display": ("--publish", "--control", "--snapshot", "--headless"),
    "replay": (
        "--to",
        "--speed",
        "--loops",
        "--channel",
        "--rate-hz",
        "--shape",
        "--follow",
    ),
    "train": ("--out", "--minutes", "--neurons", "--epochs", "--settings"),
    "demo": ("--seconds", "--headless", "--out", "--video", "--seed"),
    "check": (),
}
# Answered by a process of its own, as a user gets it; all others are answered in this
# one, for what takes a process its time is importing.
AS_PROCESSES = {"no settings file", "an address that is none", "replay"}


def toml(text: str) -> Callable[[Path], list[object]]:
    def arguments(folder: Path) -> list[object]:
        (folder / "mistake.toml").write_text(text, encoding="utf-8")
        return ["run", folder / "mistake.toml"]

    return arguments


def tiff(name: str, content: Callable[[Path], object]):
    def arguments(folder: Path) -> list[object]:
        content(folder / name)
        return ["replay", folder / name]

    return arguments


def configured(command: str, change: Callable[[Settings, Path], Settings]):
    def arguments(folder: Path) -> list[object]:
        settings = change(make_small_settings(folder), folder)
        (folder / "settings.json").write_text(config.dump(settings), encoding="utf-8")
        return [command, folder / "settings.json"]

    return arguments


def cut(path: Path) -> None:
    write_scanimage(path, make_pages(1))
    path.write_bytes(path.read_bytes()[:-1])


def no_settings(path: Path) -> None:
    write_scanimage(path, make_pages(1))
    path.write_bytes(path.read_bytes().replace(b"SI.", b"XY."))


def widen(settings: Settings, _: Path) -> Settings:
    wire = NetworkSettings(frames="tcp://0.0.0.0:5560")
    return settings.model_copy(update={"network": wire})


def other_neurons(settings: Settings, _: Path) -> Settings:
    return settings.model_copy(update={"encoder": EncoderSettings(checkpoint="demo")})


def not_an_encoder(settings: Settings, folder: Path) -> Settings:
    path = folder / "mine.safetensors"
    path.write_text("weights, honestly")
    encoder = EncoderSettings(checkpoint=str(path))
    return settings.model_copy(update={"encoder": encoder})


def masks_too_far_out(settings: Settings, _: Path) -> Settings:
    Path(settings.rois.path).write_text('[{"coordinates": [[700, 3]]}]')
    return settings


# what is wrong -> the arguments that a folder is made to hold, words of the sentence
MISTAKES = {
    "no settings file": (
        lambda folder: ["run", folder / "none.toml"],
        r"settings file .*none\.toml does not exist",
    ),
    "unknown key": (
        toml("[registration]\nspeed = 3"),
        "unknown key 'registration.speed'; known here: .*max_shift_px, min_confidence",
    ),
    "wrong type": (
        toml('[timing]\nencoder_rate_hz = "fast"'),
        "'timing.encoder_rate_hz' = 'fast': Input should be a valid number",
    ),
    "not TOML": (toml("register:"), "is not TOML"),
    "no neurons": (toml(""), r"no neurons: set rois\.path .* or encoder\.checkpoint"),
    "no masks": (
        toml('[rois]\npath = "gone.npy"'),
        r"rois\.path = .*gone\.npy does not exist",
    ),
    "masks that do not fit": (
        configured("check", masks_too_far_out),
        "ROI 0 reaches pixel .*outside the field of 512 lines",
    ),
    "no checkpoint": (
        toml('[encoder]\ncheckpoint = "gone.safetensors"'),
        r"checkpoint .*gone\.safetensors does not exist; train one with",
    ),
    "a checkpoint that is none": (
        configured("run", not_an_encoder),
        r"mine\.safetensors is not one of rtrecon",
    ),
    "a checkpoint for other neurons": (
        configured("run", other_neurons),
        "was trained on 1000 neurons, but there are 18 masks; use the masks of its field",
    ),
    "an open door": (
        configured("run", widen),
        r"tcp://0\.0\.0\.0:5560 would listen to other machines without encryption",
    ),
    "no recording": (
        tiff("none.tif", lambda path: None),
        r"none\.tif does not exist",
    ),
    "an empty recording": (
        tiff("empty.tif", lambda path: path.write_bytes(b"")),
        r"empty\.tif .*empty",
    ),
    "no TIFF": (
        tiff("notes.tif", lambda path: path.write_text("mouse 7, day 3")),
        r"notes\.tif is not a readable TIFF file",
    ),
    "not of ScanImage": (tiff("other.tif", no_settings), r"other\.tif .*ScanImage"),
    "cut within its first frame": (
        tiff("cut.tif", cut),
        r"cut\.tif .*no complete frame",
    ),
    "compressed by what is not known": (
        tiff(
            "jpeg.tif", lambda path: write_scanimage(path, make_pages(2), compression=7)
        ),
        r"jpeg\.tif .*page 0 cannot be decoded",
    ),
    "a channel that was not saved": (
        lambda folder: [
            "replay",
            write_scanimage(folder / "a.tif", make_pages(2)),
            *("--channel", 3),
        ],
        "channel 3 was not saved; choose from 1",
    ),
    "a replay backwards": (
        lambda folder: [
            "replay",
            write_scanimage(folder / "a.tif", make_pages(2)),
            *("--speed", -1),
        ],
        r"speed -1\.0 is not positive",
    ),
    "an address that is none": (
        lambda folder: ["display", "--headless", "--publish", "5562"],
        "'5562' is not an address; write it like 'tcp://127",
    ),
    "a demo too short": (
        lambda folder: ["demo", "--seconds", 1, "--headless", "--out", folder / "out"],
        "seconds = 1 is too short; give 3 or more",
    ),
    "a video that is none": (
        lambda folder: [
            *("demo", "--seconds", 3, "--headless", "--out", folder / "out"),
            *("--video", Path(__file__)),
        ],
        r"test_cli\.py cannot be read as video",
    ),
}


@pytest.fixture(scope="module")
def replay_to_nobody(tmp_path_factory):
    """A replay that finds no daemon; it waits for one while the other tests run."""
    folder = tmp_path_factory.mktemp("nobody")
    file = write_scanimage(folder / "a.tif", make_pages(2))
    address = make_settings(folder).network.frames
    with BackgroundProcess(
        folder / "replay.log", "replay", file, "--to", address
    ) as program:
        yield program, address


@pytest.fixture(scope="module")
def answers(tmp_path_factory, replay_to_nobody):
    """What each mistake, and each request for help, is answered with."""
    asked = {command: [command, "--help"] for command in OPTIONS}
    for place, (case, (arguments, _)) in enumerate(MISTAKES.items()):
        asked[case] = arguments(tmp_path_factory.mktemp(f"mistake{place}"))
    return {
        case: run_command(*given) if case in AS_PROCESSES else answered_here(*given)
        for case, given in asked.items()
    }


def answered_here(*arguments: object) -> CompletedProcess[str]:
    """What `rtrecon` would answer, without a process."""
    given = ["rtrecon", *map(str, arguments)]
    said, complained = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(said),
        redirect_stderr(complained),
        patch.object(sys, "argv", given),
    ):
        code = ended_with(main)
    return CompletedProcess(given, code, said.getvalue(), complained.getvalue())


def ended_with(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("case", MISTAKES)
def test_a_user_mistake_prints_a_sentence_and_no_traceback(answers, case):
    answer, words = answers[case], MISTAKES[case][1]
    assert answer.returncode == 2
    # Before it there may be a bar that had no progress to show.
    sentence = answer.stderr.strip().splitlines()[-1]
    assert re.search(words, sentence)
    assert "Traceback" not in answer.stderr + answer.stdout


@pytest.mark.parametrize("command", OPTIONS)
def test_every_command_has_help(answers, command):
    answer = answers[command]
    assert (answer.returncode, answer.stderr) == (0, "")
    about, options = answer.stdout.split(" Options ", 1)
    assert f"rtrecon {command}" in about
    assert re.search(r"[A-Z][a-z ,:;]+\.", about.partition(command)[2])
    named = set(re.findall(r"--([a-z-]+) ", options))
    assert {option.lstrip("-") for option in OPTIONS[command]} <= named


def test_help_lists_every_public_command():
    said = run_command("--help").stdout
    assert all(re.search(rf"\b{command} +[A-Z]", said) for command in OPTIONS)
    assert "inverter" not in said


def test_every_option_has_a_help_text():
    for name, command in get_command(app).commands.items():
        for option in command.params:
            assert option.help, f"{name} {option.name}"


def test_a_port_in_use_is_named(tmp_path):
    settings = make_small_settings(tmp_path)
    file = tmp_path / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", int(settings.network.control.rpartition(":")[2])))
        occupant.listen()
        answer = run_command("run", file)
    assert answer.returncode == 2
    assert answer.stderr.strip() == (
        f"{settings.network.control} is in use, probably by another rtrecon; "
        "stop that one or choose another port in the settings file"
    )


def test_check_reports_files_ports_and_speed(tmp_path, small_checkpoint):
    encoder = EncoderSettings(checkpoint=str(small_checkpoint))
    settings = make_settings(tmp_path, encoder=encoder)
    file = tmp_path / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    answer = run_command("check", file)
    assert (answer.returncode, answer.stderr) == (0, "")
    for line, expected in zip(
        answer.stdout.splitlines(),
        [
            rf"encoder: {small_checkpoint.name}, 60 neurons, validation r 0\.\d+",
            rf"port: {settings.network.frames} is free",
            rf"port: {settings.network.tcp} is free",
            rf"port: {settings.network.publish} is free",
            rf"port: {settings.network.control} is free",
            rf"port: {settings.network.results} is free",
            r"keys: none, this computer only",
            rf"recording: {settings.recording.folder} can be written",
            r"daemon: .* ms .* for 128 x 128 and 60 neurons: sustains \d+ frames per",
            r"inverter: \d+ steps in each hop of 167 ms on cpu",
        ],
        strict=True,
    ):
        assert re.search(expected, line)


def test_the_demo_writes_summary_video_picture_and_session(tmp_path):
    out = tmp_path / "out"
    answer = run_command("demo", "--seconds", 12, "--headless", "--out", out)
    assert answer.returncode == 0, answer.stderr
    summary = json.loads((out / "summary.json").read_text())
    n_sent = summary["frames_sent"]
    assert n_sent + summary["frames_dropped_by_sender"] == 12 * 30
    assert summary["frames_received"] == summary["frames_processed"] == n_sent
    assert all(summary["peak_memory_mb"].values())
    # Of a movie that the encoder was never trained on.
    r = summary["pixel_correlation"]["final"]
    # Little, where others keep this machine busy: there are few steps then.
    assert r > 0.2
    # Unknown, where they keep it busier still: the null gets what time is left.
    assert r > (summary["null_pixel_correlation"] or 0.0) + 0.1
    assert all(name in answer.stdout for name in ("frames_sent", "pixel_correlation"))
    clip = read_clip(out / "reconstruction.mp4")
    assert len(clip) > 60
    assert clip.std() > 10
    assert (out / "report.html").stat().st_size > 100_000
    picture = QImage(str(out / "live.png"))
    assert (picture.width(), picture.height()) == (1440, 900)
    (path,) = list_sessions(out / "session")
    assert len(Record(path).frames) == n_sent


def test_a_replay_without_a_daemon_says_how_to_start_one(replay_to_nobody):
    program, address = replay_to_nobody
    assert program.process.wait(60) == 2
    sentence = program.output.strip().splitlines()[-1]
    expected = f"no daemon listens at {address}; start one with 'rtrecon run'"
    assert sentence == expected
