"""What a live session wrote, and what a replay of its own inputs gives: the same rows of every table."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

import xtrader as xt
from rebuilt import books, canonical, in_order

TABLES = ["trades", "l2", "bbo", "gaps", "instruments"]
SYMBOLS = ["BTCUSDT", "ETHUSDT"]


def rows(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """All rows in the order of truth, dictionaries as plain text, without what tells batches apart."""
    return in_order(pl.concat(frames).with_columns(pl.col(pl.Categorical).cast(pl.String)))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, pl.DataFrame], dict[str, object]]:
    """A few seconds of a live session through drops and a cut: the folder of `raw`, its rows, the true books."""
    folder = tmp_path_factory.mktemp("session")
    store = xt._native.ParquetStore(str(folder), ["raw"])
    live: dict[str, list[pl.DataFrame]] = defaultdict(list)
    with xt.Simulator(symbols=SYMBOLS, seed=7, book_levels=900) as simulator:
        simulator.inject("drop", target={"stream": "btcusdt@depth@100ms"}, when={"after_frames": 10})
        simulator.inject("disconnect", target={"family": "public"}, when={"after_s": 2.0})
        stream = xt.stream(
            [f"binance-futures:{symbol}" for symbol in SYMBOLS],
            streams=["trades", "l2", "bbo"],
            tables=[*TABLES, "raw"],
            numeric="decimal",
            policy="block",
            endpoints=simulator.endpoints,
        )
        with stream:
            closed = 0
            for batch in stream:
                frame = batch.to_polars()
                live[batch.table].append(frame)
                if batch.table == "raw":
                    store.write(batch)
                if batch.table == "gaps":
                    closed += frame["ts_resumed"].drop_nulls().len()
                if closed >= 5 and sum(len(f) for f in live["trades"]) > 200:
                    break
        for batch in stream:
            live[batch.table].append(batch.to_polars())
            if batch.table == "raw":
                store.write(batch)
        books_then = {
            book["symbol"]: simulator.truth("book", symbol=book["native_symbol"], id=book["last_id"])
            for book in stream.report()["books"]
            if book["state"] == "live"
        }
    store.finish()
    return folder, {table: rows(frames) for table, frames in live.items()}, books_then


def test_a_replay_of_its_raw_gives_the_rows_that_the_session_gave(
    session: tuple[Path, dict[str, pl.DataFrame], dict[str, object]],
) -> None:
    folder, live, _ = session
    again: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in xt.replay(folder, tables=TABLES):
        again[batch.table].append(batch.to_polars())
    assert set(again) == set(live) - {"raw"}
    for table, frames in again.items():
        assert rows(frames).equals(live[table]), table


def test_books_rebuilt_from_its_rows_are_the_true_ones(
    session: tuple[Path, dict[str, pl.DataFrame], dict[str, object]],
) -> None:
    _, live, truth = session
    rebuilt = books(live["l2"])
    assert truth, "a book was live at the end"
    for symbol, expected in truth.items():
        book = rebuilt["binance-futures", symbol]
        assert book.chained
        own = {
            "bids": [[canonical(p), canonical(book.bid.sizes[p])] for p in reversed(book.bid.prices)],
            "asks": [[canonical(p), canonical(book.ask.sizes[p])] for p in book.ask.prices],
        }
        assert own["bids"]
        assert own["asks"]
        assert isinstance(expected, dict)
        for side in ("bids", "asks"):
            true = [[text(price), text(size)] for price, size in expected[side]]
            assert own[side] == true, (symbol, side)


def text(number: str) -> str:
    from decimal import Decimal

    return canonical(Decimal(number))


def test_what_was_dropped_is_named(session: tuple[Path, dict[str, pl.DataFrame], dict[str, object]]) -> None:
    _, live, _ = session
    gaps = live["gaps"]
    assert "disconnect" in gaps["cause"].to_list()
    assert gaps.filter(pl.col("ts_resumed").is_null())["gap_id"].is_unique().all()


def test_raw_of_several_exchanges_replays_one_engine_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a login among them: its answer was recorded without its tokens, and that is enough."""
    tables = ["trades", "l2", "gaps", "instruments"]
    for name in ("KEY", "SECRET"):
        monkeypatch.setenv(f"DERIBIT_{name}", "simulator")
    store = xt._native.ParquetStore(str(tmp_path), ["raw"])
    live: dict[str, list[pl.DataFrame]] = defaultdict(list)
    with (
        xt.Simulator(exchange="binance-spot", symbols=["BTCUSDT"]) as spot,
        xt.Simulator(exchange="deribit", symbols=["BTC-PERPETUAL"], book_levels=100) as deribit,
        xt.stream(
            "deribit:BTC-PERPETUAL",
            "binance-spot:BTCUSDT",
            tables=[*tables, "raw"],
            policy="block",
            login={"deribit": {"env": "DERIBIT"}},
            endpoints={"binance-spot": spot.endpoints, "deribit": deribit.endpoints},
        ) as stream,
    ):
        for batch in stream:
            live[batch.table].append(batch.to_polars())
            if batch.table == "raw":
                store.write(batch)
            if batch.table == "trades" and {frame["shard"][0] for frame in live["trades"]} == {0, 1}:
                stream.close()
    store.finish()
    again: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in xt.replay(tmp_path, tables=tables):
        again[batch.table].append(batch.to_polars())
    assert set(again) == set(live) - {"raw"}
    for table, frames in again.items():
        assert rows(frames).equals(rows(live[table])), table
