"""A user's own function in a process of its own, which is ended when it stalls.

The function is named in the settings of the machine that it runs on: it is the user's
own program, as trusted as the settings are. Nothing that comes by the wire can name or
change it; what is passed to it and back are texts.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from rtrecon.config import PythonSettings
from rtrecon.core.errors import UserError
from rtrecon.protocol import messages

_LOAD_S = 30.0  # for its imports: PsychoPy takes ten seconds
_END_S = 1.0


class Function:
    """Calls `function(event)` elsewhere; `event` is a `wire.Event`.

    One that raises is told and stays. One that is not done by its deadline, or takes
    its process with it, is started again, `max_restarts` times in all.
    """

    def __init__(self, settings: PythonSettings) -> None:
        split_name(settings.function)
        self._settings = settings
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._starts = 0

    def open(self) -> None:
        """Start the process and wait until it has found the function."""
        if self._process is not None:
            return
        if self._starts > self._settings.max_restarts:
            raise UserError(
                f"{self._settings.function} was ended {self._starts} times and is not "
                "called again until the daemon is restarted"
            )
        self._starts += 1
        spawn = multiprocessing.get_context("spawn")
        self._line, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_serve, args=(theirs, self._settings.function), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self._hear(_LOAD_S)
        except UserError:
            self.close()
            raise

    def fire(self, event: messages.Event) -> None:
        """Call it; raises `UserError` with what went wrong."""
        assert self._line is not None
        try:
            self._line.send_bytes(msgspec.json.encode(event))
        except OSError:
            self._lose("ended by itself")
        self._hear(self._settings.deadline_s)

    def close(self) -> None:
        """End the process."""
        process, line = self._process, self._line
        self._process = self._line = None
        if line is not None:
            line.close()
        if process is not None:
            process.join(_END_S)
            process.kill()
            process.join()
            process.close()

    def _hear(self, timeout_s: float) -> None:
        """Wait for the answer, which is empty if all went well."""
        assert self._line is not None
        if not self._line.poll(timeout_s):
            self._lose(f"was not done after {timeout_s:g} s and was ended")
        try:
            answer = self._line.recv_bytes().decode()
        except (EOFError, OSError):
            self._lose("ended by itself")
        if answer:
            raise UserError(answer)

    def _lose(self, how: str) -> NoReturn:
        if self._process is not None:
            self._process.kill()
        self.close()
        raise UserError(f"{self._settings.function} {how}")


def split_name(name: str) -> tuple[str, str]:
    """Return module (or path) and function of a name; raises `UserError`."""
    module, colon, function = name.rpartition(":")
    if not colon or not module or not function.isidentifier():
        raise UserError(
            f"'{name}' names no function; write it like 'my_reaction.py:flash'"
        )
    if module.endswith(".py") and not Path(module).is_file():
        raise UserError(f"there is no file {module} to take '{function}' from")
    return module, function


def _serve(line: Connection, name: str) -> None:
    """Find the function and call it with each event that comes (in the child)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    try:
        function = _found(name)
    except Exception as error:
        line.send_bytes(f"{name} cannot be loaded: {_words(error)}".encode())
        return
    line.send_bytes(b"")
    while True:
        try:
            event = msgspec.json.decode(line.recv_bytes(), type=messages.Event)
        except EOFError:
            return
        line.send_bytes(_called(function, event, name).encode())


def _called(
    function: Callable[[messages.Event], Any], event: messages.Event, name: str
) -> str:
    try:
        function(event)
    except Exception as error:  # a user's function may raise anything
        return f"{name} raised {_words(error)}"
    return ""


def _found(name: str) -> Callable[[messages.Event], Any]:
    module, function = split_name(name)
    if not module.endswith(".py"):
        found: Callable[[messages.Event], Any] = getattr(
            importlib.import_module(module), function
        )
        return found
    path = Path(module)
    sys.path.insert(0, str(path.parent))  # as if it were run: its neighbours are found
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    own = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = own
    spec.loader.exec_module(own)
    return getattr(own, function)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
