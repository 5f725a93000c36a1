"""Arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rtrecon.transport.keys import ClientKeys

SettingsFile = Annotated[Path, typer.Argument(help="Settings file (TOML).")]
SessionFolder = Annotated[Path, typer.Argument(help="Folder of a recorded session.")]
KeyFolder = Annotated[
    Path | None, typer.Option(help="Key folder, if the daemon requires keys.")
]
EncoderFiles = Annotated[
    list[Path] | None,
    typer.Option(
        help="Encoder; repeat it for an ensemble. Default: that of the session; demo "
        "in a simulation."
    ),
]
MouseName = Annotated[
    str | None,
    typer.Option(
        help="Mouse (0 to 9, or name) whose readout to use; published encoders only."
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        help="Neurons to simulate: those that the encoder was trained on (default); "
        "sensorium:FILE if their file is elsewhere now."
    ),
]
Device = Annotated[
    Literal["cpu", "cuda"],
    typer.Option(help="Where a published encoder runs; compact encoders use the CPU."),
]
Headless = Annotated[bool, typer.Option(help="Draw without a screen.")]


@dataclass(frozen=True)
class DaemonAddress:
    """Where a daemon receives frames and requests, and the folder of its keys.

    control: where it says whether it takes a session; None = do not ask.
    """

    frames: str
    control: str | None
    key_folder: Path | None

    def read_keys(self) -> ClientKeys | None:
        """Return the client's keys, if the daemon requires keys."""
        from rtrecon.transport.keys import read_client_keys

        return read_client_keys(self.key_folder) if self.key_folder else None
