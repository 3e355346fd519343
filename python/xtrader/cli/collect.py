"""`xtrader collect`."""

from __future__ import annotations

import json as json_text
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from xtrader._native import ParquetStore
from xtrader.cli import options, output
from xtrader.config import StreamConfig
from xtrader.errors import ConfigError
from xtrader.streaming import Stream

# Seconds between two looks at the clock and the signals.
LOOK = 0.1
# Milliseconds that rows may wait for their batch: a file has no use for earlier ones.
BATCH_MS = 250


def collect(
    subscriptions: Annotated[list[str], typer.Argument(help="What to take.", metavar="EXCHANGE:SYMBOL…")],
    out: Annotated[Path, typer.Option(help="Write Parquet below this folder.", metavar="DIR", file_okay=False)],
    tables: options.Tables = options.DEFAULT_TABLES,
    streams: Annotated[str, typer.Option(help="Streams of each symbol, by commas.", metavar="STREAM,…")] = "trades,l2",
    numeric: options.Numbers = None,
    size_unit: options.Units = None,
    trade_source: options.Trades = None,
    depth_speed: options.Depth = None,
    duration: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; else at SIGINT or SIGTERM.", metavar="S", min=0)
    ] = None,
    ws: Annotated[str | None, typer.Option(help="WebSocket base of a testnet or simulator.", metavar="URL")] = None,
    rest: Annotated[str | None, typer.Option(help="REST base of a testnet or simulator.", metavar="URL")] = None,
    json: options.Json = False,
) -> None:
    """Collect live market data into Parquet, until told to stop. Nothing is dropped: a slow disk slows the sockets."""
    if (ws is None) != (rest is None):
        raise ConfigError("--ws and --rest go together: the books need both")
    given = options.given(
        subscriptions=",".join(subscriptions),
        streams=streams,
        tables=tables,
        numeric=numeric,
        size_unit=size_unit,
        trade_source=trade_source,
        depth_speed=depth_speed,
        endpoints=None if ws is None else {"ws": ws, "rest": rest},
        policy="block",
        eager=False,
        batch={"max_delay_ms": BATCH_MS},
    )
    config = StreamConfig.checked(**given)
    store = ParquetStore(out, config.tables, append=True)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    try:
        with _stopping() as stopped, Stream(config) as stream:
            deadline = None if duration is None else began + duration
            for batch in _until(stream, stopped, deadline, counts, began, quiet=json):
                store.write(batch)
                counts[batch.table] += len(batch)
            report = stream.report()
    finally:
        files = store.finish()
    report = {**report, "rows": dict(counts), "elapsed_s": time.monotonic() - began, "files": files}
    if json:
        typer.echo(json_text.dumps(report))
    else:
        output.collected(report)


class _Stop:
    """Set by the first signal; the second one is the system's own again."""

    def __init__(self) -> None:
        self.told = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.told = True
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def _stopping() -> Iterator[_Stop]:
    """SIGINT and SIGTERM end the collection, not the process."""
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
