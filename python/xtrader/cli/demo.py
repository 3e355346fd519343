"""`xtrader demo`: everything at once on a simulated exchange."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtrader._native import ParquetStore
from xtrader.cli import output
from xtrader.errors import MissingPackageError, XTraderError
from xtrader.replaying import replay
from xtrader.simulation import Simulator
from xtrader.streaming import Stream, stream

if TYPE_CHECKING:
    import polars as pl

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
TABLES = ("trades", "l2", "bbo", "gaps", "instruments")
DEPTH = "@depth@100ms"
# Levels a side of a snapshot: the exchange cuts it there.
SNAPSHOT_LEVELS = 1000
# The faults, as parts of the duration.
DISCONNECT_AT, GAP_AT = 0.3, 0.6
# Seconds to wait for the last frames, once the market stands still.
PATIENCE = 10.0
RECORDING = "binance_usdm/hft_btcusdt_2024-08-08.jsonl.gz"


def demo(
    seconds: Annotated[float, typer.Option(help="How long to collect.", min=3)] = 10.0,
    seed: Annotated[int, typer.Option(help="Same seed, same market.", min=0)] = 1,
    out: Annotated[Path, typer.Option(help="Write Parquet below this folder.", metavar="DIR")] = Path("demo-data"),
    captures: Annotated[
        Path | None, typer.Option(help="Folder of recordings; a session of BTCUSDT among them is replayed.")
    ] = None,
) -> None:
    """See it work: a simulated exchange, a forced disconnect and gap, Parquet, Polars."""
    try:
        import polars as pl  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError("the demo shows Polars: pip install 'xtrader[polars]'") from error
    folder = out / time.strftime("%Y%m%d-%H%M%S")
    with Simulator(seed=seed, symbols=list(SYMBOLS)) as simulator:
        output.screen.print(f"simulated exchange on {simulator.ws_url} and {simulator.rest_url}, seed {seed}")
        session = _collect(simulator, folder, seconds)
        _show(session, folder)
        wrong = [*_compare(simulator, session, folder), *_unnamed(folder)]
    with pl.Config(tbl_rows=8, tbl_cols=8, tbl_width_chars=160, tbl_hide_dataframe_shape=True):
        output.screen.print(f"\n[bold]last trades[/bold], pl.scan_parquet({str(folder / 'trades')!r})")
        shown = _scan(folder, "trades").select("ts_event", "ts_recv", "symbol", "trade_id", "side", "price", "size")
        typer.echo(str(shown.tail(8).collect()))
    recording = None if captures is None else captures / RECORDING
    if recording is not None and recording.exists():
        _replay(recording)
    if wrong:
        raise XTraderError("; ".join(wrong))


@dataclass
class _Session:
    """What a collection was."""

    report: dict[str, Any] = field(default_factory=dict)
    files: list[Any] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    # Nanoseconds from the read at the socket to the batch in Python, of the newest row of each batch.
    latencies: list[int] = field(default_factory=list)
    seconds: float = 0.0


def _collect(simulator: Simulator, folder: Path, seconds: float) -> _Session:
    """Collects over real sockets; a connection is cut and a frame is lost on the way."""
    session = _Session()
    store = ParquetStore(folder, TABLES)
    began = time.monotonic()
    faults = [
        (began + DISCONNECT_AT * seconds, "disconnect", {"family": "public"}, "cutting a connection"),
        (began + GAP_AT * seconds, "drop", {"stream": SYMBOLS[0].lower() + DEPTH}, f"losing a frame of {SYMBOLS[0]}"),
    ]
    live = stream(
        *(f"binance-futures:{symbol}" for symbol in SYMBOLS),
        streams=["trades", "l2", "bbo"],
        tables=TABLES,
        endpoints=simulator.endpoints,
        policy="block",
        deadlines={"backoff_base_ms": 100},
    )
    with live:
        while (now := time.monotonic()) < began + seconds:
            while faults and now >= faults[0][0]:
                _, kind, target, text = faults.pop(0)
                simulator.inject(kind, target=target)
                output.screen.print(f"[dim]{now - began:5.1f} s[/dim]  {text}")
            _take(live, store, session)
        simulator.pause()
        simulator.wait_drained(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not _caught_up(simulator, live) and time.monotonic() < deadline:
            _take(live, store, session)
        session.seconds = time.monotonic() - began
        session.report = live.report()
    for batch in live:
        store.write(batch)
        session.rows[batch.table] += len(batch)
    session.files = list(store.finish())
    return session


def _take(live: Stream, store: ParquetStore, session: _Session) -> None:
    try:
        batch = live.next(timeout=0.05)
    except TimeoutError:
        return
    if batch is None:
        raise XTraderError("the stream ended by itself")
    arrived = time.time_ns()
    if batch.table in {"trades", "l2", "bbo"}:
        newest = batch.to_polars()["ts_recv"].cast(int).max()
        if isinstance(newest, int):
            session.latencies.append(arrived - newest)
    store.write(batch)
    session.rows[batch.table] += len(batch)


def _caught_up(simulator: Simulator, live: Stream) -> bool:
    """Every book stands where the market stands still."""
    books = {book["native_symbol"]: book for book in live.report()["books"]}
    return all(
        symbol in books
        and books[symbol]["state"] == "live"
        and books[symbol]["last_id"] == simulator.truth("book", symbol=symbol, levels=1)["last_id"]
        for symbol in SYMBOLS
    )


def _scan(folder: Path, table: str) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415 - an extra

    return pl.scan_parquet(folder / table, hive_partitioning=True).sort("shard", "msg_id", "row")


def _show(session: _Session, folder: Path) -> None:
    frames = session.report["counters"]["frames"]["total"]
    output.screen.print(
        f"\n{frames:,} frames in {session.seconds:.1f} s over sockets: "
        f"[bold]{frames / session.seconds:,.0f} frames/s[/bold] (as fast as the market was)"
    )
    output.rows(dict(session.rows), session.files)
    if session.rows["gaps"]:
        _gaps(_scan(folder, "gaps").collect())
    _latency(session.latencies)


def _gaps(rows: pl.DataFrame) -> None:
    """A gap is two rows with one id: at detection and at closing."""
    closed = {row["gap_id"]: row for row in rows.iter_rows(named=True) if row["ts_resumed"] is not None}
    lines = []
    for gap in rows.iter_rows(named=True):
        if gap["ts_resumed"] is None:
            end = closed.get(gap["gap_id"])
            milliseconds = None if end is None else (end["ts_resumed"] - gap["ts_detected"]).total_seconds() * 1000
            ids = "-" if gap["first_missing"] is None else f"{gap['first_missing']} to {gap['last_missing']}"
            state = "open" if milliseconds is None else f"closed after {milliseconds:,.0f} ms"
            lines.append((gap["symbol"], gap["stream"], gap["cause"], gap["evidence"], ids, state))
    output.table("gaps, as the data names them", ("symbol", "stream", "cause", "evidence", "missing ids", ""), lines)


def _latency(latencies: list[int]) -> None:
    ordered = sorted(latencies)
    if not ordered:
        return
    quantiles = [
        (name, ordered[min(len(ordered) - 1, int(share * len(ordered)))])
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))
    ]
    output.table(
        f"latency, socket read to batch in Python ({len(ordered):,} batches)",
        [name for name, _ in quantiles] + ["max"],
        [[f"{ns / 1000:,.0f} us" for _, ns in quantiles] + [f"{ordered[-1] / 1000:,.0f} us"]],
    )


def _compare(simulator: Simulator, session: _Session, folder: Path) -> list[str]:
    """Rebuilds every book from the files alone and holds it against the simulator's."""
    lines, wrong = [], []
    books = {book["native_symbol"]: book for book in session.report["books"]}
    for symbol in SYMBOLS:
        sides, snapshot, last = _rebuild(folder, symbol)
        truth = simulator.truth(
            "client_book",
            symbol=symbol,
            stream=symbol.lower() + DEPTH,
            snapshot_id=snapshot,
            limit=SNAPSHOT_LEVELS,
            id=last,
        )
        expected = tuple({float(price): float(size) for price, size in truth[side]} for side in ("bids", "asks"))
        present = simulator.truth("book", symbol=symbol, levels=1)["last_id"]
        equal = sides == expected and last == present == books[symbol]["last_id"]
        if not equal:
            wrong.append(f"the book of {symbol} differs from the simulator's")
        levels = f"{len(sides[0]):,} + {len(sides[1]):,}"
        lines.append((symbol, str(last), levels, "[green]equal[/green]" if equal else "[red]DIFFERENT[/red]"))
    output.table("books, rebuilt from the files, against the exchange's own", ("symbol", "id", "levels", ""), lines)
    return wrong


def _unnamed(folder: Path) -> list[str]:
    """What was forced must be in the data by its name."""
    named = set(_scan(folder, "gaps").collect()["cause"].cast(str)) if (folder / "gaps").exists() else set()
    return [f"no gap says {cause}" for cause in ("disconnect", "missed") if cause not in named]


def _rebuild(folder: Path, symbol: str) -> tuple[tuple[dict[float, float], dict[float, float]], int, int]:
    """Both sides, the id of the last snapshot and the id of the book."""
    import polars as pl  # noqa: PLC0415 - an extra

    rows = _scan(folder, "l2").filter(pl.col("symbol") == symbol).collect()
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    snapshot = last = -1
    for row in rows.iter_rows(named=True):
        if row["is_snapshot"]:
            snapshot = row["last_id"]
            for side in sides:
                side.clear()
        for side, name in zip(sides, ("bid", "ask"), strict=True):
            side.update(zip(row[f"{name}_prices"], row[f"{name}_sizes"], strict=True))
            for price in [price for price, size in side.items() if size == 0]:
                del side[price]
        last = row["last_id"]
    return sides, snapshot, last


def _replay(recording: Path) -> None:
    output.screen.print(f"\n[bold]replay[/bold] of a recorded session, {recording.name}")
    replayed = replay(recording)
    for _ in replayed:
        pass
    output.summary(replayed.report(), None)
