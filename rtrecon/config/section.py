"""What the settings sections share: the base class and the type of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationInfo,
    field_validator,
)

_INTEGER_LIMIT = 2**31
FOLDER_KEY = "folder"  # of the validation context: the folder of the settings file


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys, and infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _require_usual_integer(cls, value: Any) -> Any:
        """Refuse whole numbers that do not fit into 32 bits, as arrays need."""
        if isinstance(value, int) and abs(value) >= _INTEGER_LIMIT:
            raise ValueError(f"whole numbers must be below {_INTEGER_LIMIT}")
        return value


def _require_printable(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError(
            "a backslash in double quotes begins an escape sequence, here a tab, a new "
            "line or another letter that no path has; write the path in single quotes"
        )
    return path


def _resolve_path(path: Path, info: ValidationInfo) -> Path:
    _require_printable(path)
    folder: Path | None = (info.context or {}).get(FOLDER_KEY)
    return path if folder is None else folder / path.expanduser()


def _resolve_function(name: str, info: ValidationInfo) -> str:
    return str(_resolve_path(Path(name), info)) if ".py:" in name else name


# A path; a relative one in a settings file is relative to the folder of that file.
SettingsPath = Annotated[Path, AfterValidator(_resolve_path)]

# A path that is relative to the folder in which a command is started.
WorkingPath = Annotated[Path, AfterValidator(_require_printable)]

# 'FILE.py:FUNCTION', where FILE.py is a path as above, or 'MODULE:FUNCTION'.
FunctionPath = Annotated[str, AfterValidator(_resolve_function)]
