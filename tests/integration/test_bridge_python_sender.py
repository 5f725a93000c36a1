from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.daemon.ingest.ingest import Ingest
from rtrecon.daemon.ingest.result import IngestAction
from rtrecon.protocol import messages
from rtrecon.testing.frame_receiver import FrameReceiver
from tests.support.paths import BRIDGE

SENDER = BRIDGE / "python" / "sender.py"
README = (BRIDGE / "README.md").read_text(encoding="utf-8")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SENDER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_python_sender_follows_the_protocol(tmp_path, free_address):
    movie = np.random.default_rng(0).integers(-900, 3000, (45, 6, 8)).astype(np.int16)
    np.save(tmp_path / "movie.npy", movie)
    address = free_address()
    with FrameReceiver(address) as listener:
        done = run(tmp_path / "movie.npy", "--address", address, "--rate", 30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "45 frames sent, 0 lost\n"
    frames = listener.frames()
    assert np.array_equal([pixels for _, pixels in frames], movie)
    assert [f.frame for f, _ in frames] == list(range(1, 46))
    assert [f.t for f, _ in frames] == pytest.approx(np.arange(45) / 30)
    # Over a second of frames: start came again, and every message was counted.
    kinds = [type(m) for m, _ in listener.received]
    assert kinds.count(messages.SessionStart) == 2
    assert [m.seq for m, _ in listener.received] == list(range(len(kinds)))
    ingest = Ingest()
    verdicts = [ingest.accept_message(m).action for m, _ in listener.received]
    assert (verdicts[0], verdicts[-1]) == (IngestAction.SESSION, IngestAction.END)
    assert (ingest.counts.frames_accepted, ingest.counts.gaps) == (
        45,
        messages.GapCounts(),
    )


@pytest.mark.parametrize("dtype", ["float32", ">i2"])
def test_the_python_sender_sends_exact_pixels_or_explains(
    tmp_path, free_address, dtype
):
    movie = np.arange(12).reshape(2, 2, 3).astype(dtype)
    np.save(tmp_path / "movie.npy", movie)
    address = free_address()
    if dtype == "float32":
        done = run(tmp_path / "movie.npy", "--address", address)
        assert done.returncode == 2
        assert "float32 [2, 2, 3]" in done.stderr
        return
    with FrameReceiver(address) as listener:
        run(tmp_path / "movie.npy", "--address", address)
    assert np.array_equal([pixels for _, pixels in listener.frames()], movie)


def test_the_python_sender_does_not_import_rtrecon():
    assert "import rtrecon" not in SENDER.read_text()
    assert "from rtrecon" not in SENDER.read_text()


EXAMPLES = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
SIZES = {"frame": 12, "stimulus": 6}  # bytes of the payload, of 2 x 3 pixels


@pytest.mark.parametrize("header", EXAMPLES, ids=lambda text: json.loads(text)["type"])
def test_every_example_in_the_readme_is_valid(header):
    fields = json.loads(header)
    payload = bytes(SIZES.get(fields["type"], 0))
    message, _ = messages.decode_incoming([header.encode(), payload])
    # and shows no field that would be silently ignored
    assert set(fields) - {"type"} <= set(message.__struct_fields__)


def test_the_readme_describes_every_message_and_topic():
    shown = {json.loads(header)["type"] for header in EXAMPLES}
    assert shown == {"start", "frame", "stimulus", "behavior", "sync", "end"}
    for published in messages.PublishedMessage.__args__:
        row = next(
            line
            for line in README.splitlines()
            if line.startswith(f"| `{published.__struct_config__.tag}` | `")
        )
        common = {"session", "seq", "v", "t"}
        for field in set(published.__struct_fields__) - common:
            assert f"`{field}`" in row
