"""`xtrader replay`."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from xtrader._native import ParquetStore, Replay
from xtrader.cli import options, output
from xtrader.cli.storing import finishing
from xtrader.config import ReplayConfig, Speed

# Batches between two looks at the progress: a look costs a lock.
STRIDE = 16


def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Captures (.jsonl, .jsonl.gz), folders of them, or what collect wrote with raw."),
    ],
    out: options.Out = None,
    tables: options.Tables = options.DEFAULT_TABLES,
    streams: Annotated[
        str | None, typer.Option(help="Streams to take, by commas; else all.", metavar="STREAM,…")
    ] = None,
    numeric: options.Numbers = None,
    size_unit: options.Units = None,
    speed: Annotated[Speed, typer.Option(help="As fast as it goes, or as fast as it was.")] = "max",
    exchange: Annotated[
        str | None, typer.Option(help="Id of the exchange, where the recording does not tell.", metavar="ID")
    ] = None,
    trade_source: options.Trades = None,
    more: options.Set = None,
    json: options.Json = False,
) -> None:
    """Replay recorded frames through the engine; nothing is sent."""
    given = options.given(
        paths=paths,
        tables=tables,
        streams=streams,
        numeric=numeric,
        size_unit=size_unit,
        speed=speed,
        exchange=exchange,
        trade_source=trade_source,
    )
    config = ReplayConfig.checked(**options.settings(given, more))
    replayed = Replay(config.native())
    store = None if out is None else ParquetStore(out, config.tables or ())
    with finishing(store) as files:
        _drain(replayed, store, quiet=json)
    report: dict[str, Any] = replayed.report()
    if json:
        typer.echo(json_text.dumps(report if store is None else {**report, "files": files}))
    else:
        output.summary(report, None if store is None else files)


def _drain(replayed: Replay, store: ParquetStore | None, *, quiet: bool) -> None:
    bar = Progress(
        TextColumn("replay"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[frames]:,} frames"),
        TimeRemainingColumn(),
        console=output.status,
        transient=True,
        disable=quiet or not output.status.is_terminal,
    )
    with bar:
        task = bar.add_task("replay", total=None, frames=0)
        for number, batch in enumerate(replayed):
            if store is not None:
                store.write(batch)
            if number % STRIDE == 0 and not bar.disable:
                done, total, frames = replayed.progress()
                bar.update(task, completed=done, total=total, frames=frames)
