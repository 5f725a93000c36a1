"""Lab Streaming Layer: behaviour and markers in; activity, quality and events out."""

from __future__ import annotations

from typing import Any

from rtrecon.core.errors import UserError


def import_pylsl() -> Any:
    """Return pylsl; UserError if it, or the library that it needs, is missing."""
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"LSL is not installed here ({error}); pip install 'rtrecon[lsl]'"
        ) from None
    return pylsl
