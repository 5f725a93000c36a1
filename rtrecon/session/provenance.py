"""What a session was made with: this machine, these libraries, that encoder.

Neither the host's name nor the user's: a recording is handed on, and who measured it is
said in the settings by whoever wants it said.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from rtrecon.encoder.card import find

_CPUINFO = Path("/proc/cpuinfo")  # of Linux, where Python knows no model


class Machine(msgspec.Struct, frozen=True):
    """The computer that recorded."""

    system: str = ""
    processor: str = ""
    cores: int = 0
    memory_gb: float = 0.0


def this_machine() -> Machine:
    """Return what this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
    )


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of all that rtrecon cannot do without."""
    versions = {"python": platform.python_version()}
    for requirement in metadata.requires("rtrecon") or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            versions[name] = metadata.version(name)
    return versions


def checkpoint_sha256(name: str | None) -> str | None:
    """Return the hash of an encoder's file; None where there is none to read."""
    if name is None:
        return None
    with suppress(OSError), find(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _processor() -> str:
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
