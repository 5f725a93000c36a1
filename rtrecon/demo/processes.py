"""The daemon and the window of a demo: how they start, and how they end."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.operating_system import has_screen
from rtrecon.demo.child_processes import ChildProcesses
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender

START_TIMEOUT_S = 60.0
_CHECK_EVERY_S, _ASK_EVERY_S = 1.0, 0.1


def start_processes(
    children: ChildProcesses, settings: Settings, folder: Path, headless: bool
) -> None:
    """Start the daemon and the window; their files lie in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    children.start("daemon", "run", str(file))
    snapshot = folder / "live.png"
    snapshot.unlink(missing_ok=True)  # an old one would look like this session's
    network = settings.network
    arguments = ["display", "--publish", network.publish, "--control", network.control]
    arguments += ["--close-with-daemon", "--snapshot", str(snapshot)]
    if headless or not has_screen():
        arguments.append("--headless")
    children.start("display", *arguments)


def wait_for_daemon(children: ChildProcesses, sender: SessionSender) -> None:
    """Wait until the daemon takes the session; UserError if it does not start."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and children.is_running("daemon"):
        if sender.wait_for_daemon(_CHECK_EVERY_S):
            return
    raise UserError("the daemon did not start; its messages above say why")


def wait_for_inverter(children: ChildProcesses, settings: Settings) -> None:
    """Wait until the inverter runs, because the session may be short."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and children.is_running("daemon"):
        with suppress(RpcError):  # the daemon is still warming up
            if call_daemon(settings.network.control, "status")["inverting"]:
                return
        time.sleep(_ASK_EVERY_S)
    raise UserError("the inverter did not start; its messages above say why")


def stop_daemon(children: ChildProcesses, settings: Settings) -> Path:
    """Stop the daemon and the window; return the folder of the recording."""
    try:
        status = call_daemon(settings.network.control, "status")
        call_daemon(settings.network.control, "stop")
    except RpcError as error:
        raise UserError(f"the daemon was lost before the end: {error}") from None
    children.wait_for_exit()
    return Path(status["recording"])
