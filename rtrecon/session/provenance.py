"""What a session was recorded with: computer, library versions, encoder file.

The names of host and user are left out, because recordings are passed on; who measured
is written into the settings by those who want to.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from rtrecon.encoder.card import find_checkpoint
from rtrecon.protocol.fields import describe

_CPUINFO = Path("/proc/cpuinfo")  # on Linux, where Python does not know the processor


class Machine(msgspec.Struct, frozen=True):
    """The computer that recorded the session."""

    system: Annotated[str, describe("Operating system and architecture.")] = ""
    processor: Annotated[str, describe("Model of the processor.")] = ""
    cores: Annotated[int, describe("Logical processor cores.", "cores")] = 0
    memory_gb: Annotated[float, describe("Installed memory.", "GiB")] = 0.0


def describe_machine() -> Machine:
    """Return system, processor, cores and memory of this computer."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_find_processor_name(),
        cores=os.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
    )


def list_library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that rtrecon requires."""
    versions = {"python": platform.python_version()}
    for requirement in metadata.requires("rtrecon") or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            versions[name] = metadata.version(name)
    return versions


def hash_checkpoint(name: str | None) -> str | None:
    """Return the SHA-256 of an encoder's file; None if there is none to read."""
    if name is None:
        return None
    with suppress(OSError), find_checkpoint(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _find_processor_name() -> str:
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
