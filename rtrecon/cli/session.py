"""Commands on a session that was recorded: hand it on, look at it, delete it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.cli.terminal import Stages, progress_bars, say
from rtrecon.core.errors import UserError

SessionFolder = Annotated[Path, typer.Argument(help="Folder of a recorded session.")]


def export(
    session: SessionFolder,
    nwb: Annotated[Path, typer.Option(help="NWB file to write.")],
    raw: Annotated[
        Path | None, typer.Option(help="The recording that the microscope saved.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings with [subject] and [experiment] to write instead."),
    ] = None,
) -> None:
    """Write a session as NWB, which others can read."""
    told = config.load(settings) if settings else None
    try:
        from rtrecon.export import Plan, export_nwb
    except ModuleNotFoundError as error:
        raise UserError(
            f"NWB needs {error.name}: pip install rtrecon[nwb], then try again"
        ) from None
    plan = Plan(
        session=session,
        out=nwb,
        raw=raw,
        subject=told.subject.model_dump() if told else None,
        experiment=told.experiment.model_dump() if told else None,
    )
    with progress_bars("%") as progress:
        exported = export_nwb(plan, Stages(progress))
    for note in exported.notes:
        terminal.err.print(note, markup=False, soft_wrap=True)
    say(f"{exported.path} written: {exported.size_mb:.1f} MB")


def report(
    session: SessionFolder,
    out: Annotated[
        Path | None, typer.Option(help="HTML file; report.html in the folder if none.")
    ] = None,
) -> None:
    """Write a session's report: one HTML file with plots and clips."""
    from rtrecon.analysis.report import write_report

    say(f"{write_report(session, out)} written")


def wipe(
    sessions: Annotated[list[Path], typer.Argument(help="Folders of sessions.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete sessions: all that was recorded, reconstructions too."""
    from rtrecon.session.wipe import plan_wipe
    from rtrecon.session.wipe import wipe as delete

    planned = [plan_wipe(session) for session in sessions]
    for one in planned:
        terminal.out.print(one.sentence(), markup=False, soft_wrap=True)
    if not yes:
        typer.confirm("Delete all of it, for ever?", abort=True)
    for one in planned:
        delete(one)
        say(f"{one.folder} is deleted: {one.n_files} files, {one.size_mb:.1f} MB")
    say("What was exported or evaluated into other folders is still there")
