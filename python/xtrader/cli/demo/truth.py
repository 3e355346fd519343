"""The files against the simulators: every book is rebuilt from rows alone, and every size by the rule of units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtrader.cli.demo.session import Session

if TYPE_CHECKING:
    import polars as pl

Side = dict[float, float]


@dataclass(frozen=True)
class Book:
    """A book that was rebuilt."""

    exchange: str
    symbol: str
    last_id: int
    bids: int
    asks: int
    is_equal: bool


def scan(folder: Path, table: str) -> pl.LazyFrame:
    """A table of the files."""
    import polars as pl  # noqa: PLC0415 - an extra

    return pl.scan_parquet(folder / table, hive_partitioning=True)


def rows(folder: Path, table: str) -> pl.DataFrame:
    """All of a table, in the order of truth of each exchange; none where nothing was written."""
    import polars as pl  # noqa: PLC0415 - an extra

    if not (folder / table).exists():
        return pl.DataFrame()
    return scan(folder, table).sort("exchange", "shard", "msg_id", "row").collect()


def compare(session: Session, folder: Path) -> Iterator[Book]:
    """Each book of an exchange against the simulator's own at that id, which is the present one."""
    reported = session.books()
    for name, native in session.show.instruments.items():
        exchange, _, symbol = name.partition(":")
        bids, asks, snapshot, last = _rebuild(folder, exchange, symbol)
        truth = session.simulator.truth(
            "client_book",
            symbol=native,
            stream=session.show.book_of(native),
            snapshot_id=snapshot,
            limit=session.show.snapshot_levels,
            id=last,
        )
        multiplier, is_inverse = _unit(session, folder, native)
        expected = tuple(
            {float(price): _base(price, size, multiplier, is_inverse=is_inverse) for price, size in truth[side]}
            for side in ("bids", "asks")
        )
        is_present = last == session.present_id(native) == reported[native]["last_id"]
        yield Book(exchange, symbol, last, len(bids), len(asks), is_present and (bids, asks) == expected)


def _rebuild(folder: Path, exchange: str, symbol: str) -> tuple[Side, Side, int, int]:
    """Both sides, the id of the last snapshot and the id of the book."""
    import polars as pl  # noqa: PLC0415 - an extra

    mine = scan(folder, "l2").filter(pl.col("exchange") == exchange, pl.col("symbol") == symbol)
    bids: Side = {}
    asks: Side = {}
    snapshot = last = -1
    for row in mine.sort("shard", "msg_id", "row").collect().iter_rows(named=True):
        if row["is_snapshot"] and row["source"] != "checkpoint":
            snapshot = row["last_id"]
        for side, name in ((bids, "bid"), (asks, "ask")):
            if row["is_snapshot"]:
                side.clear()
            for price, size in zip(row[f"{name}_prices"], row[f"{name}_sizes"], strict=True):
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        last = row["last_id"]
    return bids, asks, snapshot, last


def _unit(session: Session, folder: Path, native: str) -> tuple[Fraction, bool]:
    """What one unit of the exchange's sizes is worth, and whether it is worth it in quote units."""
    import polars as pl  # noqa: PLC0415 - an extra

    mine = scan(folder, "instruments").filter(
        pl.col("native_symbol") == native, pl.col("exchange").cast(str).is_in(session.show.markets)
    )
    told: dict[str, Any] = mine.select("multiplier", "inverse").last().collect().row(0, named=True)
    return Fraction(str(told["multiplier"] if session.show.counts_contracts else 1)), told["inverse"]


def _base(price: str, size: str, multiplier: Fraction, *, is_inverse: bool) -> float:
    """A size in base units, exactly, and then as the nearest double."""
    worth = Fraction(size) * multiplier
    return float(worth / Fraction(price) if is_inverse else worth)
