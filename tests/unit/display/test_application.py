"""The window's start: what a person reads on a computer that cannot show it."""

from __future__ import annotations

import pytest

from rtrecon.display import DisplayError, screen_check


def test_libraries_that_a_fresh_debian_lacks_are_named(tmp_path, monkeypatch):
    """Without `libxcb-cursor0`, Qt would abort the process without a Python error."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    (tmp_path / "platforms").mkdir()
    (tmp_path / "platforms" / "libqxcb.so").write_bytes(b"cannot be loaded")
    monkeypatch.setattr(
        screen_check.QLibraryInfo, "path", lambda location: str(tmp_path)
    )
    with pytest.raises(DisplayError, match=r"install libxcb-cursor0 .*xkbcommon-x11-0"):
        screen_check.require_screen()
