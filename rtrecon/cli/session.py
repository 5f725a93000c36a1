"""Commands on recorded sessions: export, report, rules, pack, wipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.cli.terminal import ProgressReporter, notify, progress_bars
from rtrecon.core.errors import UserError

SessionFolder = Annotated[Path, typer.Argument(help="Folder of a recorded session.")]


def export(
    session: SessionFolder,
    nwb: Annotated[Path | None, typer.Option(help="NWB file to write.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Folder for the tables as CSV.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Folder for the tables as Parquet.")
    ] = None,
    swc: Annotated[
        Path | None,
        typer.Option(help="Dish: folder for the neurons of the last picture as SWC."),
    ] = None,
    graphml: Annotated[
        Path | None, typer.Option(help="Dish: file for the graph of touches.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="Dish: film with all that was traced (.mp4).")
    ] = None,
    position: Annotated[
        int, typer.Option(help="Dish: stage position of these three, from 1.")
    ] = 1,
    raw: Annotated[
        Path | None,
        typer.Option(help="NWB: recording that the microscope's own program saved."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="NWB: settings file whose sections subject and experiment replace "
            "those of the session."
        ),
    ] = None,
) -> None:
    """Write a session for other programs: NWB, tables, neurons of a dish."""
    of_dish = swc, graphml, video
    if not any((nwb, csv, parquet, *of_dish)):
        raise UserError(
            "nothing to write; name a file or folder with --nwb, --csv, --parquet, "
            "--swc, --graphml or --video"
        )
    if csv or parquet:
        _export_tables(session, csv, parquet)
    if any(of_dish):
        from rtrecon.analysis.dish.recorded_files import (
            DishFiles,
            write_dish_files,
        )

        files = DishFiles(swc, graphml, video, position)
        _list_written(write_dish_files(session, files))
    if nwb:
        _export_nwb(session, nwb, raw, settings)


def _export_tables(session: Path, csv: Path | None, parquet: Path | None) -> None:
    """Write the tables into the folders that are given."""
    from rtrecon.export.table_files import write_csv_tables, write_parquet_tables
    from rtrecon.session.api import open_session

    opened = open_session(session)
    tables = opened.list_tables()
    if csv:
        _list_written(write_csv_tables(csv, tables))
    if parquet:
        _list_written(write_parquet_tables(parquet, tables))
    for notice in opened.notices:
        terminal.stderr.print(notice, markup=False, soft_wrap=True)


def _list_written(paths: list[Path]) -> None:
    for path in paths:
        notify(f"{path} written")


def _export_nwb(
    session: Path, nwb: Path, raw: Path | None, settings: Path | None
) -> None:
    loaded = config.load(settings) if settings else None
    try:
        from rtrecon.export.nwb_export import ExportRequest, export_nwb
    except ModuleNotFoundError as error:
        raise UserError(
            f"NWB needs {error.name}: pip install rtrecon[nwb], then try again"
        ) from None
    request = ExportRequest(
        session=session,
        out=nwb,
        raw=raw,
        subject=loaded.subject.model_dump() if loaded else None,
        experiment=loaded.experiment.model_dump() if loaded else None,
    )
    with progress_bars("%") as progress:
        result = export_nwb(request, ProgressReporter(progress))
    for notice in result.notices:
        terminal.stderr.print(notice, markup=False, soft_wrap=True)
    notify(f"{result.path} written: {result.size_mb:.1f} MB")


def report(
    session: SessionFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write; default: report.html in the folder."),
    ] = None,
) -> None:
    """Write a session's report: one HTML file with plots and movie clips."""
    from rtrecon.analysis.report import write_report

    notify(f"{write_report(session, out)} written")


def rules(
    session: SessionFolder,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file with the rules. Default: the session's."),
    ] = None,
) -> None:
    """Try closed-loop rules on a session: how often would each have fired?"""
    from rtrecon.replay.rule_trial import try_rules

    for trial in try_rules(session, settings):
        terminal.stdout.print(
            trial.describe(), markup=False, highlight=False, soft_wrap=True
        )


def pack(
    session: SessionFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write (.zip); default: beside the folder."),
    ] = None,
    without_movie: Annotated[
        bool,
        typer.Option(
            "--without-movie", help="Leave out the reconstructions and the report."
        ),
    ] = False,
) -> None:
    """Pack a session into one file to share; any zip program unpacks it."""
    from rtrecon.session.pack import pack_session

    packed = pack_session(session, out, with_movie=not without_movie)
    notify(f"{packed.path} written: {packed.size_mb:.1f} MB")
    if packed.left_out:
        notify(f"Left out: {', '.join(packed.left_out)}")


def wipe(
    sessions: Annotated[
        list[Path], typer.Argument(help="Folders of recorded sessions.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete recorded sessions: all that rtrecon has written into their folders."""
    from rtrecon.session.wipe import plan_wipe, wipe_session

    plans = [plan_wipe(session) for session in sessions]
    for plan in plans:
        terminal.stdout.print(plan.describe(), markup=False, soft_wrap=True)
    if not yes:
        typer.confirm("Delete all of this permanently?", abort=True)
    for plan in plans:
        wipe_session(plan)
        notify(
            f"{plan.folder} is deleted: {plan.n_files} files, {plan.size_mb:.1f} MB"
            f"{plan.describe_others()}"
        )
    notify("Exports and evaluations in other folders still exist")
