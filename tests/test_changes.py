"""A running stream is changed: symbols come and go, connections too, and what no change means does not feel it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import polars as pl
import pytest

import xtrader as xt

BTC, ETH = "binance-futures:BTCUSDT", "binance-futures:ETHUSDT"
# Long beyond any pause of a loaded machine.
PATIENCE_S = 60.0


class Reader:
    """Reads a stream, and keeps what it has read by table."""

    def __init__(self, stream: xt.Stream) -> None:
        self.stream = stream
        self.batches: list[xt.Batch] = []

    def until(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_there():
            assert time.monotonic() < deadline, self.stream.report()
            batch = self.stream.next(timeout=PATIENCE_S)
            assert batch is not None
            self.batches.append(batch)

    def rows(self, table: str) -> pl.DataFrame:
        frames = [batch.to_polars() for batch in self.batches if batch.table == table]
        return pl.concat(frames) if frames else pl.DataFrame({"symbol": [], "ts_recv": []})

    def of(self, table: str, symbol: str) -> pl.DataFrame:
        return self.rows(table).filter(pl.col("symbol").cast(pl.String) == symbol)

    def has(self, symbol: str, since: int = 0) -> bool:
        """Both tables have rows of the symbol that are later than that."""
        later = (self.of(table, symbol)["ts_recv"].cast(pl.Int64) > since for table in ("trades", "l2"))
        return all(rows.any() for rows in later)


@pytest.fixture
def reader(simulator: xt.Simulator) -> Iterator[Reader]:
    tables = ["trades", "l2", "gaps"]
    # No connection ends by itself here: each that opens or ends does so because somebody said so.
    with xt.stream(BTC, tables=tables, connections=2, endpoints=simulator.endpoints, policy="block") as stream:
        yield Reader(stream)


def is_whole(reader: Reader, symbol: str) -> bool:
    """Each trade once, none left out; each row of the book follows the one before."""
    ids = reader.of("trades", symbol)["trade_id"].cast(pl.Int64).sort()
    book = reader.of("l2", symbol).sort("msg_id", "row").filter(~pl.col("is_snapshot"))
    chained = (book["prev_id"] == book["last_id"].shift(1)).drop_nulls()
    return (ids.diff().drop_nulls() == 1).all() and len(chained) > 0 and chained.all()


def test_a_symbol_comes_and_goes_and_the_other_does_not_feel_it(reader: Reader, simulator: xt.Simulator) -> None:
    stream = reader.stream
    reader.until(lambda: reader.has("BTCUSDT"))
    stream.add(ETH)
    assert list(stream.config.subscriptions) == [BTC, ETH]
    reader.until(lambda: reader.has("ETHUSDT"))
    assert reader.of("l2", "ETHUSDT")["is_snapshot"][0]

    stream.remove(ETH)
    assert list(stream.config.subscriptions) == [BTC]
    removed = time.time_ns()
    reader.until(lambda: reader.has("BTCUSDT", removed + 500_000_000))
    assert not reader.has("ETHUSDT", removed)
    assert (reader.of("trades", "ETHUSDT")["ts_recv"].cast(pl.Int64) <= removed).all()
    assert (reader.of("l2", "ETHUSDT")["ts_recv"].cast(pl.Int64) <= removed).all()

    # It is asked for again: its book begins with a snapshot, and no trade comes twice.
    stream.add([ETH])
    reader.until(lambda: reader.has("ETHUSDT", removed))
    later = reader.of("l2", "ETHUSDT").filter(pl.col("ts_recv").cast(pl.Int64) > removed)
    assert later.sort("msg_id", "row")["is_snapshot"][0]
    assert reader.of("trades", "ETHUSDT")["trade_id"].is_unique().all()

    assert is_whole(reader, "BTCUSDT")
    assert reader.rows("gaps").is_empty()
    assert stream.report()["counters"]["disconnects"] == 0
    assert all(connection["closed_ns"] is None for connection in simulator.truth("connections"))


def test_connections_come_and_go_and_nothing_is_missing(reader: Reader, simulator: xt.Simulator) -> None:
    stream = reader.stream

    def links() -> set[int]:
        """How many carry trades, and how many books, which are of another family."""
        families = [row["family"] for row in simulator.truth("connections") if row["closed_ns"] is None]
        return {families.count(family) for family in ("market", "public")}

    reader.until(lambda: reader.has("BTCUSDT") and links() == {2})
    for connections in (3, 1, 2):
        stream.set_connections(connections)
        assert stream.config.connections == connections
        wanted: set[int] = {connections}

        def is_so(wanted: set[int] = wanted) -> bool:
            return links() == wanted

        reader.until(is_so)
        changed = time.time_ns()

        def goes_on(since: int = changed) -> bool:
            return reader.has("BTCUSDT", since)

        reader.until(goes_on)
    assert is_whole(reader, "BTCUSDT")
    assert reader.rows("gaps").is_empty()
