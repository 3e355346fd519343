"""`xtrader demo`: everything at once, on four simulated exchanges."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from xtrader._native import ParquetStore
from xtrader.cli import output
from xtrader.cli.demo import truth
from xtrader.cli.demo.session import SHOWS, TABLES, Session
from xtrader.cli.storing import finishing
from xtrader.errors import MissingPackageError, XTraderError
from xtrader.replaying import replay

if TYPE_CHECKING:
    import polars as pl

# The faults, as parts of the duration, and what is forced by them: the cause that the data must give.
FAULTS = (
    (0.3, "cutting a connection of each exchange", Session.cut),
    (0.6, "losing a change of one book of each exchange", Session.lose),
)
FORCED = ("disconnect", "missed")
# Seconds to wait for the last frames, once the markets stand still.
PATIENCE = 15.0
RECORDING = "binance_usdm/hft_btcusdt_2024-08-08.jsonl.gz"


def demo(
    seconds: Annotated[float, typer.Option(help="How long to collect.", min=3)] = 10.0,
    seed: Annotated[int, typer.Option(help="Same seed, same markets.", min=0)] = 1,
    out: Annotated[Path, typer.Option(help="Write Parquet below this folder.", metavar="DIR")] = Path("demo-data"),
    captures: Annotated[
        Path | None, typer.Option(help="Folder of recordings; a session of BTCUSDT among them is replayed.")
    ] = None,
) -> None:
    """See it work: four simulated exchanges, forced disconnects and gaps, Parquet, Polars."""
    try:
        import polars as pl  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError("the demo shows Polars: pip install 'xtrader[polars]'") from error
    folder = out / time.strftime("%Y%m%d-%H%M%S")
    with ExitStack() as open_sessions:
        store = ParquetStore(folder, TABLES)
        with finishing(store):
            sessions = [
                open_sessions.enter_context(Session(show, seed + number, store)) for number, show in enumerate(SHOWS)
            ]
            _announce(sessions)
            _run(sessions, seconds)
        wrong = _show(sessions, folder)
    with pl.Config(tbl_rows=-1, tbl_cols=8, tbl_width_chars=output.WIDTH, tbl_hide_dataframe_shape=True):
        output.screen.print(f"\n[bold]last trades[/bold] of pl.scan_parquet({str(folder / 'trades')!r})")
        typer.echo(str(_last_trades(folder)))
    recording = None if captures is None else captures / RECORDING
    if recording is not None and recording.exists():
        _replay(recording)
    if wrong:
        raise XTraderError("; ".join(wrong))


def _announce(sessions: list[Session]) -> None:
    output.table(
        "simulated exchanges, on sockets of this machine",
        ("exchange", "address", "what is collected"),
        [(s.show.exchange, s.simulator.ws_url, ", ".join(s.show.natives)) for s in sessions],
        words=3,
    )


def _run(sessions: list[Session], seconds: float) -> None:
    """Collects from all of them at once, through the faults, until every book stands where its market stands still."""
    began = time.monotonic()
    faults = [(began + share * seconds, text, strike) for share, text, strike in FAULTS]
    bar = Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TextColumn("{task.fields[frames]:>9,} frames {task.fields[rows]:>9,} rows"),
        console=output.status,
        transient=True,
        disable=not output.status.is_terminal,
    )
    output.screen.print()
    with bar:
        tasks = [bar.add_task(s.show.exchange, total=seconds, frames=0, rows=0) for s in sessions]
        while (now := time.monotonic()) < began + seconds:
            while faults and now >= faults[0][0]:
                _, text, strike = faults.pop(0)
                output.screen.print(f"[dim]{now - began:5.1f} s[/dim]  {text}")
                for session in sessions:
                    strike(session)
            for task, session in zip(tasks, sessions, strict=True):
                bar.update(task, completed=now - began, frames=session.frames(), rows=session.rows)
            time.sleep(0.1)
    for session in sessions:
        session.simulator.pause()
    deadline = time.monotonic() + PATIENCE
    for session in sessions:
        session.settle(deadline)


def _show(sessions: list[Session], folder: Path) -> list[str]:
    """What came of it; gives back what is not as it must be."""
    _rows(folder)
    _speed(sessions)
    gaps = truth.rows(folder, "gaps")
    _gaps(gaps)
    lines, wrong = [], []
    for session in sessions:
        for book in truth.compare(session, folder):
            verdict = "[green]equal[/green]" if book.is_equal else "[red]DIFFERENT[/red]"
            lines.append((book.exchange, book.symbol, str(book.last_id), f"{book.bids:,} + {book.asks:,}", verdict))
            if not book.is_equal:
                wrong.append(f"the book of {book.exchange}:{book.symbol} is not the simulator's")
        named = {gap["cause"] for gap in gaps.iter_rows(named=True) if gap["exchange"] in session.show.markets}
        wrong += [f"no gap of {session.show.exchange} says {cause}" for cause in FORCED if cause not in named]
    title = "books, rebuilt from the files, against the exchanges' own"
    output.table(title, ("exchange", "symbol", "id", "levels", ""), lines, words=2)
    for session in sessions:
        output.arbitration(session.live.report())
    return wrong


def _rows(folder: Path) -> None:
    """Rows on disk, by market and table."""
    counts = {
        table: dict(truth.scan(folder, table).group_by("exchange").len().collect().iter_rows())
        for table in TABLES
        if (folder / table).exists()
    }
    markets = sorted({market for of_table in counts.values() for market in of_table})
    lines = [(market, *(of_table.get(market, "-") for of_table in counts.values())) for market in markets]
    output.table(f"rows in {folder}", ("exchange", *counts), lines)


def _speed(sessions: list[Session]) -> None:
    shares = (0.5, 0.9, 0.99, 0.999, 1.0)
    lines = []
    for session in sessions:
        ordered = sorted(session.latencies)
        quantiles = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in shares] if ordered else []
        frames = session.frames()
        cells = [f"{ns / 1000:,.0f}" for ns in quantiles]
        lines.append((session.show.exchange, frames, f"{frames / session.seconds:,.0f}", len(ordered), *cells))
    output.table(
        "frames (as fast as the markets were), and microseconds from the socket to the batch in Python",
        ("exchange", "frames", "frames/s", "batches", "p50", "p90", "p99", "p99.9", "max"),
        lines,
    )


def _gaps(rows: pl.DataFrame) -> None:
    """A gap is two rows with one id, at detection and at closing; here a line for each cause at each market."""
    closed = {(gap["exchange"], gap["gap_id"]): gap for gap in rows.iter_rows(named=True) if gap["ts_resumed"]}
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for gap in rows.iter_rows(named=True):
        if gap["ts_resumed"] is None:
            groups.setdefault((gap["exchange"], gap["cause"], gap["evidence"]), []).append(gap)
    lines = []
    for (exchange, cause, evidence), gaps in sorted(groups.items()):
        ends = [closed.get((exchange, gap["gap_id"])) for gap in gaps]
        lasted = [end["ts_resumed"] - gap["ts_detected"] for gap, end in zip(gaps, ends, strict=True) if end]
        longest = f"{max(lasted).total_seconds() * 1000:,.0f} ms" if lasted else "-"
        streams = " ".join(sorted({gap["stream"] for gap in gaps}))
        ids = [f"{gap['first_missing']} to {gap['last_missing']}" for gap in gaps if gap["first_missing"] is not None]
        state = f"{len(lasted)} of {len(gaps)}"
        lines.append((exchange, cause, evidence, streams, state, longest, ids[0] if ids else "-"))
    output.table(
        "gaps, as the data names them",
        ("exchange", "cause", "evidence", "streams", "closed", "after at most", "missing ids"),
        lines,
        words=4,
    )


def _last_trades(folder: Path) -> pl.DataFrame:
    """The newest trade of every instrument: one table, one way to write a symbol, one unit."""
    columns = ("ts_event", "exchange", "symbol", "trade_id", "side", "price", "size")
    newest = truth.scan(folder, "trades").sort("ts_recv").group_by("exchange", "symbol").last()
    return newest.sort("exchange", "symbol").select(columns).collect()


def _replay(recording: Path) -> None:
    output.screen.print(f"\n[bold]replay[/bold] of a recorded session, {recording.name}")
    replayed = replay(recording)
    for _ in replayed:
        pass
    output.summary(replayed.report(), None)
