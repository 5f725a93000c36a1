"""The example settings file and the settings reference, made from the models."""

from __future__ import annotations

import re
import tomllib

from typer.testing import CliRunner

from rtrecon import config
from rtrecon.cli import app
from rtrecon.config import Settings
from rtrecon.config.template import settings_reference, settings_template
from tests.support.paths import CONFIGS


def test_the_example_file_is_the_template():
    """To renew it: `rtrecon config > configs/rig.example.toml`."""
    example = (CONFIGS / "rig.example.toml").read_text(encoding="utf-8")
    assert example == settings_template()


def test_the_config_command_prints_the_template():
    result = CliRunner().invoke(app, ["config"])
    assert (result.exit_code, result.stdout) == (0, settings_template())


def test_the_template_holds_exactly_the_defaults(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(settings_template(), encoding="utf-8")
    assert config.load(path) == Settings()


def test_the_template_with_all_examples_uncommented_is_valid():
    """Each commented line `# key = value` becomes a key; only needed by the reader."""
    lines = settings_template().splitlines()
    keys = re.compile(r"^# +(?=[a-z_]+ = |\[)")
    text = "\n".join(keys.sub("", line) for line in lines)
    settings = Settings.model_validate(tomllib.loads(text))
    assert settings.traces.indicator_rise_s == 0.05
    assert settings.closed_loop.rules[0].name == "lost"
    assert settings.closed_loop.serial["NAME"].port == "COM3"


def test_template_and_reference_name_each_key_and_explain_it():
    template, reference = settings_template(), settings_reference()
    for name, field in Settings.model_fields.items():
        assert f"[{name}]" in template
        assert f"## `[{name}]`" in reference
        for key, inner in field.annotation.model_fields.items():
            assert inner.description, f"{name}.{key} has no description"
            if key not in ("rules", "serial", "lsl", "nidaq", "python", "micromanager"):
                assert f"| `{key}` |" in reference


def test_the_reference_shows_types_limits_and_defaults():
    reference = settings_reference()
    assert '| `device` | `"cpu"` or `"cuda"` | `"cpu"` |' in reference
    assert "| `held_out_fraction` | number, > 0, < 0.5 | `0.1` |" in reference
    assert "| `port` | text | needed |" in reference
    assert "| `z_stack` | path | not set |" in reference
    assert "### `[[closed_loop.rules]]`" in reference
