"""Decodes bytes that may be anything."""

from __future__ import annotations

import pytest

from rtrecon.protocol.messages import WireError


def or_reason(decode, parts):
    """What is decoded, or None where there is a sentence why not."""
    try:
        return decode(parts)
    except WireError as error:
        return None if str(error) else pytest.fail("an empty reason")
