from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtrecon import config
from rtrecon.config import Settings, SettingsError
from tests.support.paths import CONFIGS

CONFIG_FILES = sorted(CONFIGS.glob("*.toml"))

# a settings file -> words of the one sentence that it earns
MISTAKES = {
    "unknown key": (
        "[invert]\nhop_framez = 6",
        r"unknown key 'invert\.hop_framez'; known here: adaptive_prior, .*hop_frames",
    ),
    "unknown section": ("[inverter]\nhop_frames = 6", "unknown key 'inverter'.*invert"),
    "section by its Python name": ("[register]\nshift = 1", r"'register\.shift'"),
    "wrong type": ("[align]\nrate_hz = 'fast'", r"'align\.rate_hz' = 'fast'"),
    "out of range": (
        "[traces]\nneuropil_coefficient = 7",
        "coefficient' = 7: .* to 1, or .* 'fitted'",
    ),
    "no such choice": ("[invert]\ndevice = 'tpu'", "'invert.device' = 'tpu'"),
    "hops that do not fit": ("[invert]\nhop_frames = 8", "must be a multiple of hop_"),
    "a value for a section": ("wire = 3", "'wire' = 3"),
    "not TOML": ("rate = = 3", "is not TOML"),
}


def load(folder: Path, text: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_an_empty_file_means_every_default(tmp_path):
    assert load(tmp_path, "") == Settings()


def test_what_is_given_is_taken_and_the_rest_stays(tmp_path):
    settings = load(tmp_path, "[register]\nmax_shift_px = 12\n[invert]\nseed = 3")
    assert settings.register_.max_shift_px == 12.0
    assert settings.invert.seed == 3
    assert settings.align == Settings().align


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_a_sentence_that_names_file_and_key(tmp_path, case):
    text, words = MISTAKES[case]
    with pytest.raises(SettingsError, match=words) as caught:
        load(tmp_path, text)
    assert "settings.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_mistake_has_its_own_line(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "[invert]\nseed = 'x'\nbudget = 2\n[rois]\nfile = 'a'")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(str(tmp_path) in line for line in lines)


def test_a_missing_file_a_folder_and_a_binary_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        config.load(tmp_path / "nothing.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(tmp_path / "binary.toml")


def test_paths_are_relative_to_the_file(tmp_path):
    text = "[rois]\npath = 'masks/stat.npy'\n[encoder]\ncheckpoint = 'a.safetensors'"
    settings = load(tmp_path, text)
    assert settings.rois.path == str(tmp_path / "masks" / "stat.npy")
    assert settings.encoder.checkpoint == str(tmp_path / "a.safetensors")


def test_an_absolute_path_and_the_demo_stay_as_they_are(tmp_path):
    absolute = (tmp_path / "elsewhere" / "stat.npy").as_posix()
    text = f"[rois]\npath = '{absolute}'\n[encoder]\ncheckpoint = 'demo'"
    settings = load(tmp_path, text)
    assert Path(settings.rois.path) == Path(absolute)
    assert settings.encoder.checkpoint == "demo"


def test_settings_do_not_change_and_are_saved_whole(tmp_path):
    settings = load(tmp_path, "[record]\nchunk_s = 2.5")
    with pytest.raises(ValueError, match="frozen"):
        settings.record.chunk_s = 1.0
    saved = json.loads(config.dump(settings))
    assert saved["record"]["chunk_s"] == 2.5
    assert "register" in saved
    assert config.parse(config.dump(settings)) == settings


def test_settings_saved_with_a_recording_load_like_a_file(tmp_path):
    settings = load(tmp_path, "[record]\nchunk_s = 2.5")
    (tmp_path / "settings.json").write_text(config.dump(settings), encoding="utf-8")
    assert config.load(tmp_path / "settings.json") == settings
    with pytest.raises(SettingsError, match="unknown key 'speed'"):
        config.parse('{"speed": 1}')


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_every_settings_file_that_is_shipped_loads(path):
    assert isinstance(config.load(path), Settings)
