"""What the settings sections share: the base class and the type of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

FOLDER_KEY = "folder"  # of the validation context: the folder of the settings file


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _resolve_path(path: Path, info: ValidationInfo) -> Path:
    if not str(path).isprintable():
        raise ValueError(
            "a backslash in double quotes begins an escape sequence, here a tab or a "
            "new line; write the path in single quotes"
        )
    folder: Path | None = (info.context or {}).get(FOLDER_KEY)
    return path if folder is None else folder / path.expanduser()


def _resolve_function(name: str, info: ValidationInfo) -> str:
    return str(_resolve_path(Path(name), info)) if ".py:" in name else name


# A path; a relative one in a settings file is relative to the folder of that file.
SettingsPath = Annotated[Path, AfterValidator(_resolve_path)]

# 'FILE.py:FUNCTION', where FILE.py is a path as above, or 'MODULE:FUNCTION'.
FunctionPath = Annotated[str, AfterValidator(_resolve_function)]
