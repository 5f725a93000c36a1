"""Calls a user's own function in a process of its own, which is killed if it stalls.

The settings of the daemon's computer name the function: it is the user's program and as
trusted as the settings. Nothing that arrives over the network can name or change it.
Only text is exchanged with the process.
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

_LOAD_TIMEOUT_S = 30.0  # for its imports: PsychoPy takes ten seconds
_END_TIMEOUT_S = 1.0


class UserCallback:
    """An output that calls `function(event)` in another process.

    `event` is a `messages.Event`. If the function raises, the exception is reported
    and the process stays. If the function misses its deadline or ends its process, the
    process is started again, at most `max_restarts` times.
    """

    def __init__(self, settings: PythonSettings) -> None:
        split_function_name(settings.function)
        self._settings = settings
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._n_starts = 0

    def open(self) -> None:
        """Start the process and wait until it has loaded the function."""
        if self._process is not None:
            return
        if self._n_starts > self._settings.max_restarts:
            raise UserError(
                f"{self._settings.function} was ended {self._n_starts} times and is "
                "not called again until the daemon is restarted"
            )
        self._n_starts += 1
        spawn = multiprocessing.get_context("spawn")
        self._pipe, child_end = spawn.Pipe()
        self._process = spawn.Process(
            target=_serve_calls, args=(child_end, self._settings.function), daemon=True
        )
        self._process.start()
        child_end.close()
        try:
            self._receive_answer(_LOAD_TIMEOUT_S)
        except UserError:
            self.close()
            raise

    def trigger(self, event: messages.Event) -> None:
        """Call the function and wait; raises `UserError` with what went wrong."""
        assert self._pipe is not None
        try:
            self._pipe.send_bytes(msgspec.json.encode(event))
        except OSError:
            self._end_process("ended its process")
        self._receive_answer(self._settings.deadline_s)

    def close(self) -> None:
        """End the process."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.join(_END_TIMEOUT_S)
            process.kill()
            process.join()
            process.close()

    def _receive_answer(self, timeout_s: float) -> None:
        """Wait for the answer; it is empty if all went well, else the error."""
        assert self._pipe is not None
        if not self._pipe.poll(timeout_s):
            self._end_process(f"did not finish within {timeout_s:g} s and was ended")
        try:
            answer = self._pipe.recv_bytes().decode()
        except (EOFError, OSError):
            self._end_process("ended its process")
        if answer:
            raise UserError(answer)

    def _end_process(self, reason: str) -> NoReturn:
        if self._process is not None:
            self._process.kill()
        self.close()
        raise UserError(f"{self._settings.function} {reason}")


def split_function_name(name: str) -> tuple[str, str]:
    """Split 'module:function' or 'file.py:function'; raises `UserError`."""
    module, colon, function = name.rpartition(":")
    if not colon or not module or not function.isidentifier():
        raise UserError(
            f"'{name}' does not name a function; write it like 'my_callback.py:flash'"
        )
    if module.endswith(".py") and not Path(module).is_file():
        raise UserError(f"there is no file {module} with a function '{function}'")
    return module, function


def _serve_calls(pipe: Connection, name: str) -> None:
    """Load the function and call it with each event received; runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    try:
        function = _load_function(name)
    except Exception as error:
        pipe.send_bytes(f"{name} cannot be loaded: {_describe_error(error)}".encode())
        return
    pipe.send_bytes(b"")
    while True:
        try:
            event = msgspec.json.decode(pipe.recv_bytes(), type=messages.Event)
        except EOFError:
            return
        pipe.send_bytes(_call_function(function, event, name).encode())


def _call_function(
    function: Callable[[messages.Event], Any], event: messages.Event, name: str
) -> str:
    """Call the function; return "" or a sentence about its exception."""
    try:
        function(event)
    except Exception as error:  # a user's function may raise anything
        return f"{name} raised {_describe_error(error)}"
    return ""


def _load_function(name: str) -> Callable[[messages.Event], Any]:
    module_name, function_name = split_function_name(name)
    if not module_name.endswith(".py"):
        function: Callable[[messages.Event], Any] = getattr(
            importlib.import_module(module_name), function_name
        )
        return function
    path = Path(module_name)
    sys.path.insert(0, str(path.parent))  # as for a script: it can import neighbours
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return getattr(module, function_name)


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
