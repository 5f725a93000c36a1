from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtrecon import config
from rtrecon.config import Settings, SettingsError
from tests.support.paths import CONFIGS

CONFIG_FILES = sorted(CONFIGS.glob("*.toml"))

# settings file -> words of the error
MISTAKES = {
    "unknown key": (
        "[inversion]\nhop_framez = 6",
        r"unknown key 'inversion\.hop_framez'; known here: adaptive_prior, .*hop",
    ),
    "unknown section": (
        "[inverter]\nhop_frames = 6",
        "unknown key 'inverter'.*inversion",
    ),
    "unknown key of registration": (
        "[registration]\nshift = 1",
        r"'registration\.shift'",
    ),
    "wrong type": (
        "[timing]\nencoder_rate_hz = 'fast'",
        r"'timing\.encoder_rate_hz' = 'fast'",
    ),
    "out of range": (
        "[traces]\nneuropil_coefficient = 7",
        "coefficient' = 7: .* to 1, or .* 'fitted'",
    ),
    "unknown choice": ("[inversion]\ndevice = 'tpu'", "'inversion.device' = 'tpu'"),
    "window that is no multiple of the hop": (
        "[inversion]\nhop_frames = 8",
        "must be a multiple of hop_",
    ),
    "a value for a section": ("network = 3", "'network' = 3"),
    "no key": ("rate", "is not TOML"),
    "two equals signs": ("[traces]\nrate = = 3", r"line 2: 'traces\.rate' = = 3: Inv"),
    "a backslash in double quotes": (
        '[network]\n\n[rois]\npath = "C:\\Users\\lab\\stat.npy"',
        r"line 4: 'rois\.path' = .*C:\\Users.*write the text in single quotes",
    ),
    "a backslash that TOML reads as a tab": (
        '[rois]\npath = "D:\\test.npy"',
        r"'rois\.path' = 'D:\\test\.npy': .*write the path in single quotes",
    ),
    "a path without quotes": (
        "[rois]\npath = masks.npy",
        r"'rois\.path' = masks\.npy: write text in single quotes",
    ),
    "typographic quotes": (
        "[rois]\npath = “masks.npy”",
        r"'rois\.path' = “masks\.npy”: .*type plain ones",
    ),
    "a decimal comma": (
        "[traces]\nindicator_decay_s = 0,7",
        r"'traces\.indicator_decay_s' = 0,7: write a decimal point",
    ),
    "an age that archives cannot read": (
        "[subject]\nage = 'three months'",
        r"'subject\.age' = 'three months': .*'P90D' for 90 days",
    ),
    "an age without a number": ("[subject]\nage = 'P'", r"'subject\.age' = 'P'"),
    "a species in English": (
        "[subject]\nspecies = 'mouse'",
        r"'subject\.species' = 'mouse': .*the Latin name .*'Mus musculus'",
    ),
    "a weight without its unit": (
        "[subject]\nweight = '25'",
        r"'subject\.weight' = '25': .*kg, g or mg",
    ),
    "a truth value in upper case": (
        "[registration]\nnonrigid = True",
        r"'registration\.nonrigid' = True: write true or false in lower case",
    ),
}


def load(folder: Path, text: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


@pytest.mark.parametrize(
    "age", ["P90D", "P12W", "P3M15D", "P80D/P90D", "P80D/", "P1DT6H"]
)
def test_an_age_that_archives_can_read_is_accepted(tmp_path, age):
    assert load(tmp_path, f"[subject]\nage = '{age}'").subject.age == age


def test_an_empty_file_gives_all_defaults(tmp_path):
    assert load(tmp_path, "") == Settings()


def test_keys_in_the_file_replace_defaults(tmp_path):
    settings = load(
        tmp_path, "[registration]\nmax_shift_px = 12\n[inversion]\nseed = 3"
    )
    assert settings.registration.max_shift_px == 12.0
    assert settings.inversion.seed == 3
    assert settings.timing == Settings().timing


@pytest.mark.parametrize("case", MISTAKES)
def test_an_error_names_the_file_and_the_key(tmp_path, case):
    text, words = MISTAKES[case]
    with pytest.raises(SettingsError, match=words) as caught:
        load(tmp_path, text)
    assert "settings.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_mistake_has_its_own_line(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(
            tmp_path,
            "[inversion]\nseed = 'x'\ntime_budget_fraction = 2\n[rois]\nfile = 'a'",
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(str(tmp_path) in line for line in lines)


def test_missing_files_folders_and_binary_files_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        config.load(tmp_path / "nothing.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        config.load(tmp_path / "binary.toml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_files_of_any_editor_are_read(tmp_path, encoding, line_end):
    path = tmp_path / "settings.toml"
    text = f"# Größe in µm{line_end}[inversion]{line_end}seed = 3{line_end}"
    path.write_bytes(text.encode(encoding))
    assert config.load(path).inversion.seed == 3


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_bytes("# Größe in µm\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"not UTF-8 text .*save it as UTF-8"):
        config.load(path)


def test_a_path_may_begin_at_the_home_folder(tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    settings = load(tmp_path, "[rois]\npath = '~/stat.npy'")
    assert settings.rois.path == tmp_path / "home" / "stat.npy"


def test_relative_paths_are_relative_to_the_settings_file(tmp_path):
    text = "[rois]\npath = 'masks/stat.npy'\n[encoder]\ncheckpoint = 'a.safetensors'"
    settings = load(tmp_path, text)
    assert settings.rois.path == tmp_path / "masks" / "stat.npy"
    assert settings.encoder.checkpoint == tmp_path / "a.safetensors"


def test_absolute_paths_and_the_demo_encoder_are_kept(tmp_path):
    absolute = (tmp_path / "elsewhere" / "stat.npy").as_posix()
    text = f"[rois]\npath = '{absolute}'\n[encoder]\ncheckpoint = 'demo'"
    settings = load(tmp_path, text)
    assert settings.rois.path == Path(absolute)
    assert settings.encoder.checkpoint == "demo"


def test_settings_are_frozen_and_saved_completely(tmp_path):
    settings = load(tmp_path, "[recording]\nchunk_s = 2.5")
    with pytest.raises(ValueError, match="frozen"):
        settings.recording.chunk_s = 1.0
    saved = json.loads(config.dump(settings))
    assert saved["recording"]["chunk_s"] == 2.5
    assert "registration" in saved
    assert config.parse(config.dump(settings)) == settings


def test_settings_saved_with_a_recording_can_be_loaded(tmp_path):
    settings = load(tmp_path, "[recording]\nchunk_s = 2.5")
    (tmp_path / "settings.json").write_text(config.dump(settings), encoding="utf-8")
    assert config.load(tmp_path / "settings.json") == settings
    with pytest.raises(SettingsError, match="unknown key 'speed'"):
        config.parse('{"speed": 1}')


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_each_example_settings_file_loads(path):
    assert isinstance(config.load(path), Settings)
