"""What differs between Windows, Linux and macOS: all of it, and nothing else.

Other modules ask this one, and name no operating system themselves.

Windows has priority classes and no nice values; sends SIGBREAK where others send
SIGTERM; has no permission bits and no umask; does not replace a file that another
program reads; reports a closed pipe by another error; reserves ranges of ports; and
reads and prints in the encoding of its console, which lacks many characters.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

import psutil

_NICE, _LOWEST_NICE = 10, 19  # of 19
_OTHERS_MAY_READ = 0o077
_WSAEACCES = 10013  # of Windows' sockets; Python's errno knows it only there


def is_windows() -> bool:
    """Return whether this is Windows."""
    return sys.platform == "win32"


def is_linux() -> bool:
    """Return whether this is Linux, where Qt needs a display server."""
    return sys.platform == "linux"


def has_screen() -> bool:
    """Return whether a window can open; Windows and macOS always have a screen."""
    if not is_linux():
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def set_low_priority(process: psutil.Process, is_lowest: bool) -> None:
    """Lower the priority of a process; one that is lower already stays.

    is_lowest: below that of all others, for work that only fills idle time.
    """
    if is_windows():
        below, lowest = psutil.BELOW_NORMAL_PRIORITY_CLASS, psutil.IDLE_PRIORITY_CLASS
        if process.nice() != lowest:
            process.nice(lowest if is_lowest else below)
    else:
        process.nice(max(process.nice(), _LOWEST_NICE if is_lowest else _NICE))


def list_stop_signals() -> list[int]:
    """Return the signals that ask a process to end.

    Windows sends SIGBREAK for Ctrl-Break, and when its console is closed.
    """
    numbers = [int(signal.SIGINT), int(signal.SIGTERM)]
    if is_windows():
        numbers.append(int(signal.SIGBREAK))  # type: ignore[attr-defined,unused-ignore]
    return numbers


def has_permission_bits() -> bool:
    """Return whether a file says who may read it; on Windows its folder decides."""
    return not is_windows()


def is_readable_by_others(path: Path) -> bool:
    """Return whether other users of this computer can read a file."""
    return has_permission_bits() and bool(path.stat().st_mode & _OTHERS_MAY_READ)


def is_replace_blocked(error: OSError) -> bool:
    """Return whether a file can perhaps be replaced a moment later.

    Windows refuses while another program, such as a virus scanner, reads the file.
    """
    return is_windows() and isinstance(error, PermissionError)


def is_pipe_closed(error: OSError) -> bool:
    """Return whether a process no longer reads what is written to it.

    Windows reports EINVAL (https://bugs.python.org/issue19612).
    """
    if isinstance(error, BrokenPipeError):
        return True
    return is_windows() and error.errno == errno.EINVAL


def is_port_reserved(number: int | None) -> bool:
    """Return whether this error means that the system keeps a port for itself."""
    return number in (errno.EACCES, _WSAEACCES)


def read_input_as_utf8() -> str:
    """Return all of the standard input, which another process wrote as UTF-8.

    Windows would read it in the encoding of its console: an ü in a path would be wrong.
    """
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def allow_all_characters(stream: TextIO) -> None:
    """Print `?` for characters that the encoding of an output stream lacks.

    The console of Windows, and a file to which output is sent there, have no µ or → in
    many countries; without this, the first such character would end the program.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
