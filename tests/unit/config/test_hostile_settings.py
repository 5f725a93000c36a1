"""Settings files that no daemon can use end with a sentence, never with a traceback."""

from __future__ import annotations

import pytest

from rtrecon import config
from rtrecon.config import SettingsError

HOSTILE = {
    "zeros": b"\0" * 100,
    "brackets": b"a = " + b"[" * 100_000 + b"]" * 100_000,
    "every byte": bytes(range(256)),
    "half a UTF-16 letter": "[rois]\n".encode("utf-16")[:-1],
    "UTF-16 without a mark": "[rois]\n".encode("utf-16-le"),
    "a surrogate": b"[rois]\npath = '\xed\xa0\x80'\n",
    "an invisible space": "[rois]\n\u200bpath = 'a'\n".encode(),
    "a section twice": b"[rois]\n[rois]\n",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "s.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"s\.toml"):
        config.load(path)


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("key", ["indicator_decay_s", "baseline_window_s"])
def test_a_number_must_be_finite(tmp_path, key, number):
    path = tmp_path / "s.toml"
    path.write_text(f"[traces]\n{key} = {number}\n")
    with pytest.raises(SettingsError, match=rf"traces\.{key}"):
        config.load(path)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("traces", "neuropil_outer_px"),
        ("registration", "template_frames"),
        ("inversion", "window_frames"),
    ],
)
def test_a_whole_number_must_fit_into_an_array(tmp_path, section, key):
    path = tmp_path / "s.toml"
    path.write_text(f"[{section}]\n{key} = {10**23}\n")
    with pytest.raises(SettingsError, match=rf"{section}\.{key}"):
        config.load(path)


def test_a_path_with_a_letter_that_no_path_has_is_refused(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[recording]\nfolder = "a\\u0000b"\n')
    with pytest.raises(SettingsError, match=r"recording\.folder.*single quotes"):
        config.load(path)


def test_one_address_for_two_purposes_is_refused(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[network]\nresults = "tcp://127.0.0.1:5560"\n')
    with pytest.raises(SettingsError, match="frames and results are both"):
        config.load(path)


def test_the_system_may_choose_several_ports(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        '[network]\nframes = "tcp://127.0.0.1:*"\ntcp = "tcp://127.0.0.1:*"'
    )
    assert config.load(path).network.frames == "tcp://127.0.0.1:*"
