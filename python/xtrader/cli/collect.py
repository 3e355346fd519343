"""`xtrader collect`."""

from __future__ import annotations

import json as json_text
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from xtrader._native import Batch, ParquetStore
from xtrader.cli import options, output
from xtrader.cli.signals import Stop, stopping
from xtrader.cli.storing import finishing
from xtrader.config import StreamConfig
from xtrader.errors import StreamError
from xtrader.streaming import Stream

# Seconds between two looks at the clock and the signals.
LOOK = 0.1
# Seconds between two status lines.
SHOWN_EVERY = 1.0
# Milliseconds that rows may wait for their batch: a file has no use for earlier ones.
BATCH_MS = 250


def collect(
    subscriptions: Annotated[list[str], typer.Argument(help="What to take.", metavar="EXCHANGE:SYMBOL…")],
    out: Annotated[Path, options.Folder],
    tables: Annotated[
        str | None,
        typer.Option(
            help=f"Tables to fill, by commas, of: {options.TABLES}; else those of the streams, gaps, instruments and "
            "connections.",
            metavar="TABLE,…",
            callback=options.words,
        ),
    ] = None,
    streams: Annotated[
        str,
        typer.Option(
            help=f"Streams of each symbol, by commas, of: {options.STREAMS}.",
            metavar="STREAM,…",
            callback=options.words,
        ),
    ] = "trades,l2",
    numeric: options.Numbers = None,
    size_unit: options.Units = None,
    trade_source: options.Trades = None,
    depth_speed: options.Depth = None,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections",
            "-n",
            help="Connections that carry each stream; of what comes on several the first arrival counts.",
            metavar="N",
            min=1,
            max=16,
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; else at SIGINT or SIGTERM.", metavar="S", min=0)
    ] = None,
    login: Annotated[
        list[str] | None,
        typer.Option(
            help="Where credentials are: environment variables PREFIX_KEY, PREFIX_SECRET, PREFIX_PASSPHRASE, or a file "
            "with key, secret, passphrase. Of several exchanges, once for each.",
            metavar="[EXCHANGE=]env:PREFIX|file:PATH",
        ),
    ] = None,
    ws: Annotated[
        list[str] | None,
        typer.Option(
            help="WebSocket base of a testnet or simulator. Of several exchanges, once for each.",
            metavar="[EXCHANGE=]URL",
        ),
    ] = None,
    rest: Annotated[
        list[str] | None,
        typer.Option(
            help="REST base of a testnet or simulator. Of several exchanges, once for each.", metavar="[EXCHANGE=]URL"
        ),
    ] = None,
    more: options.Set = None,
    json: options.Json = False,
) -> None:
    """Collect live market data into Parquet, until told to stop. Nothing is dropped: a slow disk slows the sockets.

    Every setting that has no option of its own takes --set, as --set l2_top.depth=5.
    """
    given = options.given(
        subscriptions=subscriptions,
        streams=streams,
        tables=tables,
        numeric=numeric,
        size_unit=size_unit,
        trade_source=trade_source,
        depth_speed=depth_speed,
        connections=connections,
        login=None if login is None else options.login(login),
        endpoints=options.endpoints(ws or [], rest or []),
    )
    preferred = {
        "tables": f"{streams},gaps,instruments,connections",
        "policy": "block",
        "eager": False,
        "batch": {"max_delay_ms": BATCH_MS},
    }
    config = StreamConfig.checked(**options.settings(given, more, preferred))
    counts = Counter(dict.fromkeys(config.tables, 0))
    began = time.monotonic()
    # The stream first: what it refuses leaves no folder behind.
    with stopping() as stopped, Stream(config) as stream:
        store = ParquetStore(out, config.tables, append=True)
        with finishing(store) as files:
            deadline = None if duration is None else began + duration
            for batch in _until(stream, stopped, deadline, counts, began, quiet=json):
                store.write(batch)
                counts[batch.table] += len(batch)
            report = stream.report()
    report = {**report, "rows": dict(counts), "elapsed_s": time.monotonic() - began, "files": files}
    if json:
        typer.echo(json_text.dumps(report))
    else:
        output.collected(report)
    _judge(report)


def _judge(report: Mapping[str, Any]) -> None:
    """Warns of every connection that was never up; where that is all of them, it failed.

    Raises:
        StreamError: no connection was ever up.
    """
    never = [connection for connection in report["connections"] if not connection["opened"]]
    for connection in never:
        down = connection["last_down"]
        why = "no answer in time" if down is None else f"{down['reason']} {down['detail']}".strip()
        typer.echo(f"xtrader: warning: {connection['url']} was never up: {why}", err=True)
    if len(never) == len(report["connections"]):
        rest = report["rest"]["last_problem"]
        raise StreamError(f"no connection was ever up{'' if rest is None else f'; REST: {rest}'}")


def _until(
    stream: Stream, stopped: Stop, deadline: float | None, counts: Counter[str], began: float, *, quiet: bool
) -> Iterator[Batch]:
    """Batches until the time or a signal comes, then what the stream still holds."""
    with output.status.status("connecting") if not quiet and output.status.is_terminal else nullcontext() as line:
        shown = began
        while not stopped.told:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                break
            if line is not None and now - shown >= SHOWN_EVERY:
                shown = now
                line.update(_line(stream.report(), counts, now - began))
            try:
                batch = stream.next(LOOK if deadline is None else min(LOOK, deadline - now))
            except TimeoutError:
                continue
            if batch is None:
                return
            yield batch
        stream.close()
        yield from stream


def _line(report: dict[str, Any], counts: Counter[str], seconds: float) -> str:
    up = sum(connection["state"] == "up" for connection in report["connections"])
    frames = report["counters"]["frames"]["total"]
    rows = "  ".join(f"{table} {rows:,}" for table, rows in sorted(counts.items()))
    return f"{seconds:,.0f} s  {up}/{len(report['connections'])} connections  {frames:,} frames  {rows}"
