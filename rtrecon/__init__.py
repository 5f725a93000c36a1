"""rtrecon: the movie that a mouse watches, reconstructed while it watches.

    import rtrecon

    session = rtrecon.open_session("recordings/2026-05-04_12-00-00")
    recording = rtrecon.open_recording("recording.tif")
    encoder = rtrecon.load_encoder("mouse.safetensors")
    for message, payload in rtrecon.subscribe(topics=["movie"]):
        ...

Each function imports what it needs when you first use it: `import rtrecon` alone
imports neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rtrecon.core.version import __version__

if TYPE_CHECKING:
    from rtrecon.encoder.api import load_encoder
    from rtrecon.inversion.offline.api import reconstruct
    from rtrecon.session.api import open_session
    from rtrecon.sources import open_recording
    from rtrecon.transport.subscriber import subscribe

__all__ = [
    "__version__",
    "load_encoder",
    "open_recording",
    "open_session",
    "reconstruct",
    "subscribe",
]

_MODULES = {
    "load_encoder": "rtrecon.encoder.api",
    "open_recording": "rtrecon.sources",
    "open_session": "rtrecon.session.api",
    "reconstruct": "rtrecon.inversion.offline.api",
    "subscribe": "rtrecon.transport.subscriber",
}


def __getattr__(name: str) -> Any:
    """Import a public function when somebody first uses it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'rtrecon' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
