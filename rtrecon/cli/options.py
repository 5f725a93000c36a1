"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

SettingsFile = Annotated[Path, typer.Argument(help="Settings file (TOML).")]
SessionFolder = Annotated[Path, typer.Argument(help="Folder of a recorded session.")]
KeyFolder = Annotated[
    Path | None, typer.Option(help="Key folder, if the daemon requires keys.")
]
EncoderFiles = Annotated[
    list[Path] | None,
    typer.Option(help="Encoder; repeat it for an ensemble. Default: demo."),
]
MouseName = Annotated[
    str | None,
    typer.Option(
        help="Mouse (0 to 9, or name) whose readout to use; published encoders only."
    ),
]
Device = Annotated[
    Literal["cpu", "cuda"],
    typer.Option(help="Where a published encoder runs; compact encoders use the CPU."),
]
Headless = Annotated[bool, typer.Option(help="Draw without a screen.")]
