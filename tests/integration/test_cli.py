"""Commands as a user types them; each mistake is answered with one sentence."""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.main import get_command

from rtrecon import config
from rtrecon.cli import app
from rtrecon.config import EncoderSettings, NetworkSettings, Settings
from rtrecon.replay import recording
from rtrecon.testing.daemon_process import make_settings, run_command
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from rtrecon.testing.simulated_microscope import make_small_settings
from rtrecon.transport.keys import make_keys, read_client_keys
from tests.support.command_line import run_here

# Command -> options that the documentation relies on.
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
    "train": (
        "--out",
        "--minutes",
        "--neurons",
        "--epochs",
        "--settings",
        "--subject",
        "--spread",
        "--noise",
        "--videos",
        "--pictures",
    ),
    "demo": ("--seconds", "--headless", "--out", "--video", "--seed", "--encoder"),
    "check": (),
    "evaluate": ("--encoder", "--start-s", "--resume", "--thorough"),
}
# Run in a process of their own, as a user runs them; all others run in this process,
# because a process spends most of its time on imports.
IN_OWN_PROCESS = {"no settings file", "an address that is none", "replay"}

Arguments = Callable[[Path], list[object]]  # makes files in a folder, returns arguments


def run_with_toml(text: str) -> Arguments:
    def make_arguments(folder: Path) -> list[object]:
        (folder / "mistake.toml").write_text(text, encoding="utf-8")
        return ["run", folder / "mistake.toml"]

    return make_arguments


def replay_tiff(name: str, write: Callable[[Path], object]) -> Arguments:
    def make_arguments(folder: Path) -> list[object]:
        write(folder / name)
        return ["replay", folder / name]

    return make_arguments


def run_with_settings(
    command: str, change: Callable[[Settings, Path], Settings]
) -> Arguments:
    def make_arguments(folder: Path) -> list[object]:
        settings = change(make_small_settings(folder), folder)
        return [command, write_settings(settings, folder)]

    return make_arguments


def write_settings(settings: Settings, folder: Path) -> Path:
    file = folder / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    return file


def write_truncated_tiff(path: Path) -> None:
    write_scanimage(path, make_pages(1))
    path.write_bytes(path.read_bytes()[:-1])


def write_tiff_of_another_program(path: Path) -> None:
    write_scanimage(path, make_pages(1))
    path.write_bytes(path.read_bytes().replace(b"SI.", b"XY."))


def listen_to_other_machines(settings: Settings, _: Path) -> Settings:
    network = NetworkSettings(frames="tcp://0.0.0.0:5560")
    return settings.model_copy(update={"network": network})


def use_encoder_of_other_neurons(settings: Settings, _: Path) -> Settings:
    return settings.model_copy(update={"encoder": EncoderSettings(checkpoint="demo")})


def use_text_as_encoder(settings: Settings, folder: Path) -> Settings:
    path = folder / "mine.safetensors"
    path.write_text("not weights")
    encoder = EncoderSettings(checkpoint=str(path))
    return settings.model_copy(update={"encoder": encoder})


def use_masks_with_negative_coordinates(settings: Settings, _: Path) -> Settings:
    Path(settings.rois.path).write_text('[{"coordinates": [[-7, 3]]}]')
    return settings


def train_on_subject(*options: object) -> Arguments:
    return lambda folder: ["train", "--out", folder / "a.safetensors", *options]


# Name of a mistake -> its arguments, and a pattern that the sentence matches.
MISTAKES = {
    "no settings file": (
        lambda folder: ["run", folder / "none.toml"],
        r"settings file .*none\.toml does not exist",
    ),
    "unknown key": (
        run_with_toml("[registration]\nspeed = 3"),
        "unknown key 'registration.speed'; known here: .*max_shift_px, min_confidence",
    ),
    "wrong type": (
        run_with_toml('[timing]\nencoder_rate_hz = "fast"'),
        "'timing.encoder_rate_hz' = 'fast': Input should be a valid number",
    ),
    "not TOML": (run_with_toml("register:"), "is not TOML"),
    "no neurons": (
        run_with_toml(""),
        r"no neurons: set rois\.path .* or encoder\.checkpoint",
    ),
    "no masks": (
        run_with_toml('[rois]\npath = "gone.npy"'),
        r"rois\.path = .*gone\.npy does not exist",
    ),
    "masks that do not fit": (
        run_with_settings("check", use_masks_with_negative_coordinates),
        r"ROI 0 reaches pixel \(-7, 3\), outside the field",
    ),
    "no checkpoint": (
        run_with_toml('[encoder]\ncheckpoint = "gone.safetensors"'),
        r"checkpoint .*gone\.safetensors does not exist; train one with",
    ),
    "a checkpoint that is none": (
        run_with_settings("run", use_text_as_encoder),
        r"mine\.safetensors is a text that begins with 'not weights'",
    ),
    "a checkpoint for other neurons": (
        run_with_settings("run", use_encoder_of_other_neurons),
        "was trained on 1000 neurons, but there are 18 masks; use the masks of its",
    ),
    "an address open to other machines": (
        run_with_settings("run", listen_to_other_machines),
        r"tcp://0\.0\.0\.0:5560 would listen to other machines without encryption",
    ),
    "no recording": (
        replay_tiff("none.tif", lambda path: None),
        r"none\.tif does not exist",
    ),
    "an empty recording": (
        replay_tiff("empty.tif", lambda path: path.write_bytes(b"")),
        r"empty\.tif .*empty",
    ),
    "no TIFF": (
        replay_tiff("notes.tif", lambda path: path.write_text("mouse 7, day 3")),
        r"notes\.tif is not a readable TIFF file",
    ),
    "not of ScanImage": (
        replay_tiff("other.tif", write_tiff_of_another_program),
        r"other\.tif .*ScanImage",
    ),
    "cut within its first frame": (
        replay_tiff("cut.tif", write_truncated_tiff),
        r"cut\.tif .*no complete frame",
    ),
    "compressed by what is not known": (
        replay_tiff(
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
    "a demo of other neurons than the encoder's": (
        lambda folder: [
            *("demo", "--seconds", 3, "--headless", "--out", folder / "out"),
            *("--subject", "random-cnn"),
        ],
        "trained on subject simulated, not on random-cnn; train one with",
    ),
    "a subject of a recorded session": (
        lambda folder: ["evaluate", folder, "--subject", "simulated"],
        "--subject is for a simulated session; add --simulate",
    ),
    "videos for a recorded session": (
        lambda folder: [
            *("train", "--out", folder / "a.safetensors", "--session", folder),
            *("--videos", folder),
        ],
        "--videos is for a simulated session; leave it out, or leave out --session",
    ),
    "neurons that are nowhere": (
        train_on_subject("--subject", "sensorium:gone.pth"),
        r"neurons' file gone\.pth cannot be read: No such file or directory; give",
    ),
    "a spread that is no number": (
        train_on_subject("--spread", "nan"),
        "spread = nan is not possible; give more than 0",
    ),
    "a negative share": (
        train_on_subject("--direction-selective", "-0.1"),
        r"direction-selective = -0\.1; give a share from 0 to 1",
    ),
    "a negative number of neurons": (
        train_on_subject("--neurons", -5),
        "-5 neurons are too few; give 1 or more",
    ),
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run every mistake, and every request for help; return what each prints."""
    arguments = {command: [command, "--help"] for command in OPTIONS}
    for index, (case, (make_arguments, _)) in enumerate(MISTAKES.items()):
        arguments[case] = make_arguments(tmp_path_factory.mktemp(f"mistake{index}"))
    return {
        case: run_command(*args) if case in IN_OWN_PROCESS else run_here(*args)
        for case, args in arguments.items()
    }


@pytest.mark.parametrize("case", MISTAKES)
def test_a_user_mistake_prints_a_sentence_and_no_traceback(outputs, case):
    output, pattern = outputs[case], MISTAKES[case][1]
    assert output.returncode == 2
    # An empty progress bar may come before it.
    sentence = output.stderr.strip().splitlines()[-1]
    assert re.search(pattern, sentence)
    assert "Traceback" not in output.stderr + output.stdout


@pytest.mark.parametrize("command", OPTIONS)
def test_every_command_has_help(outputs, command):
    output = outputs[command]
    assert (output.returncode, output.stderr) == (0, "")
    about, options = output.stdout.split(" Options ", 1)
    assert f"rtrecon {command}" in about
    assert re.search(r"[A-Z][a-z ,:;]+\.", about.partition(command)[2])
    listed = set(re.findall(r"--([a-z-]+) ", options))
    assert {option.lstrip("-") for option in OPTIONS[command]} <= listed


def test_help_lists_every_public_command():
    output = run_here("--help")
    assert output.returncode == 0
    assert all(re.search(rf"\b{command} +[A-Z]", output.stdout) for command in OPTIONS)
    assert "inverter" not in output.stdout


def test_every_option_has_a_help_text():
    for name, command in get_command(app).commands.items():
        for option in command.params:
            assert option.help, f"{name} {option.name}"


def test_no_help_text_has_brackets_that_the_terminal_would_take_for_markup():
    for name, command in get_command(app).commands.items():
        texts = [command.help, *(option.help for option in command.params)]
        assert not [text for text in texts if "[" in (text or "")], name


def test_help_shows_the_names_of_sections():
    assert "sections subject and experiment" in " ".join(
        re.sub("[^a-z ]+", " ", run_here("export", "--help").stdout).split()
    )


def test_a_port_in_use_is_named(tmp_path):
    settings = make_small_settings(tmp_path)
    port = int(settings.network.control.rpartition(":")[2])
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", port))
        occupant.listen()
        output = run_here("run", write_settings(settings, tmp_path))
    assert output.returncode == 2
    assert output.stderr.strip() == (
        f"{settings.network.control} is in use, probably by another rtrecon; "
        "stop that one or choose another port in the settings file"
    )


def test_check_reports_files_ports_space_load_and_speed(tmp_path, small_checkpoint):
    encoder = EncoderSettings(checkpoint=str(small_checkpoint))
    settings = make_settings(tmp_path, encoder=encoder)
    output = run_here("check", write_settings(settings, tmp_path))
    assert (output.returncode, output.stderr) == (0, "")
    for line, pattern in zip(
        output.stdout.splitlines(),
        [
            rf"encoder: {small_checkpoint.name}, 60 neurons, validation r 0\.\d+",
            rf"port: {settings.network.frames} is free",
            rf"port: {settings.network.tcp} is free",
            rf"port: {settings.network.publish} is free",
            rf"port: {settings.network.control} is free",
            rf"port: {settings.network.results} is free",
            r"keys: none, this computer only",
            rf"recording: {settings.recording.folder} can be written, .* left, about",
            r"disk: \d+ MB per second written",
            r"computer: .*, \d+ cores, \d+ GB of memory, ",
            r"torch: version .*built for",
            r"load: other programs use \d+% of \d+ cores",
            r"daemon: .* ms .* for 128 x 128 and 60 neurons: sustains \d+ frames per",
            r"inverter: \d+ steps in each hop of 167 ms on cpu",
        ],
        strict=True,
    ):
        assert re.search(pattern, line)


def test_display_takes_addresses_and_keys_from_the_settings(tmp_path):
    make_keys(tmp_path / "keys")
    network = NetworkSettings(
        publish="tcp://127.0.0.1:6002",
        control="tcp://127.0.0.1:6003",
        keys=tmp_path / "keys",
    )
    file = write_settings(Settings(network=network), tmp_path)
    with patch("rtrecon.display.run_display", return_value=0) as run_display:
        assert run_here("display", file, "--control", "tcp://a:1").returncode == 0
    (options,) = run_display.call_args.args
    assert options.publish == network.publish
    assert options.control == "tcp://a:1"  # an option replaces the file's address
    assert options.keys == read_client_keys(tmp_path / "keys")


def test_a_replay_without_a_daemon_says_how_to_start_one(tmp_path, monkeypatch):
    file = write_scanimage(tmp_path / "a.tif", make_pages(2))
    address = make_settings(tmp_path).network.frames
    impatient = functools.partial(recording.replay_recording, timeout_s=0.2)
    monkeypatch.setattr(recording, "replay_recording", impatient)
    done = run_here("replay", file, "--to", address)
    assert done.returncode == 2
    sentence = done.stderr.strip().splitlines()[-1]
    expected = f"no daemon listens at {address}; start one with 'rtrecon run'"
    assert sentence == expected
