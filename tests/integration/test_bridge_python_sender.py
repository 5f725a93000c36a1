from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from rtrecon.daemon.ingest import Ingest, Kind
from rtrecon.protocol import messages
from rtrecon.testing.listener import Listener
from tests.support.paths import BRIDGE

SENDER = BRIDGE / "python" / "sender.py"
README = (BRIDGE / "README.md").read_text(encoding="utf-8")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SENDER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_python_sender_keeps_to_the_contract_without_knowing_rtrecon(
    tmp_path, free_address
):
    movie = np.random.default_rng(0).integers(-900, 3000, (45, 6, 8)).astype(np.int16)
    np.save(tmp_path / "movie.npy", movie)
    address = free_address()
    with Listener(address) as listener:
        done = run(tmp_path / "movie.npy", "--address", address, "--rate", 30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "45 frames sent, 0 lost\n"
    frames = listener.frames()
    assert np.array_equal([pixels for _, pixels in frames], movie)
    assert [f.frame for f, _ in frames] == list(range(1, 46))
    assert [f.t for f, _ in frames] == pytest.approx(np.arange(45) / 30)
    # Over a second of frames: start came again, and every message was counted.
    kinds = [type(m) for m, _ in listener.messages]
    assert kinds.count(messages.Start) == 2
    assert [m.seq for m, _ in listener.messages] == list(range(len(kinds)))
    ingest = Ingest()
    verdicts = [ingest.accept(m).kind for m, _ in listener.messages]
    assert (verdicts[0], verdicts[-1]) == (Kind.SESSION, Kind.END)
    assert (ingest.counts.accepted, ingest.counts.gaps) == (45, messages.Gaps())


@pytest.mark.parametrize("dtype", ["float32", ">i2"])
def test_the_python_sender_sends_right_pixels_or_says_why_not(
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
    with Listener(address) as listener:
        run(tmp_path / "movie.npy", "--address", address)
    assert np.array_equal([pixels for _, pixels in listener.frames()], movie)


def test_the_python_sender_does_not_import_rtrecon():
    assert "import rtrecon" not in SENDER.read_text()
    assert "from rtrecon" not in SENDER.read_text()


EXAMPLES = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
SIZES = {"frame": 12, "stimulus": 6}  # bytes of the payload, of 2 x 3 pixels


@pytest.mark.parametrize("header", EXAMPLES, ids=lambda text: json.loads(text)["type"])
def test_every_example_of_the_readme_keeps_to_the_contract(header):
    fields = json.loads(header)
    payload = bytes(SIZES.get(fields["type"], 0))
    message, _ = messages.decode([header.encode(), payload])
    # and shows no field that would be silently ignored
    assert set(fields) - {"type"} <= set(message.__struct_fields__)


def test_the_readme_shows_every_message_and_names_every_topic():
    shown = {json.loads(header)["type"] for header in EXAMPLES}
    assert shown == {"start", "frame", "stimulus", "behavior", "sync", "end"}
    for published in messages.Published.__args__:
        row = next(
            line
            for line in README.splitlines()
            if line.startswith(f"| `{published.__struct_config__.tag}` | `")
        )
        common = {"session", "seq", "v", "t"}
        for field in set(published.__struct_fields__) - common:
            assert f"`{field}`" in row
