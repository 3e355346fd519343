"""Rebuilds, from the tables alone, what the oracle writes down: canonical trades, books, tops of book.

Deliberately plain and slow, and apart from the engine: it knows the tables and nothing else.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal

import polars as pl


def canonical(number: Decimal) -> str:
    """Plain digits, no exponent, no trailing zeros."""
    return "0" if number == 0 else format(number.normalize(), "f")


def sha256(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """The order of truth, whatever the batches."""
    return frame.sort("shard", "msg_id", "row")


Key = tuple[str, str]
"""Market and unified symbol: together they name one instrument."""


def trade_lines(trades: pl.DataFrame, feed: str, native: dict[Key, str]) -> Iterator[str]:
    """The oracle's line of each trade; `feed` is its word for the exchange."""
    for row in in_order(trades).iter_rows(named=True):
        time = row["ts_event_ns"]
        numbers = f"{canonical(row['price'])}|{canonical(row['size'])}"
        name = native[row["exchange"], row["symbol"]]
        yield f"{feed}|{name}|{row['trade_id']}|{numbers}|{row['side']}|{time}"


class Side:
    def __init__(self) -> None:
        self.sizes: dict[Decimal, Decimal] = {}
        self.prices: list[Decimal] = []

    def clear(self) -> None:
        self.sizes.clear()
        self.prices.clear()

    def put(self, prices: list[Decimal], sizes: list[Decimal]) -> None:
        for price, size in zip(prices, sizes, strict=True):
            if size == 0:
                if self.sizes.pop(price, None) is not None:
                    del self.prices[bisect.bisect_left(self.prices, price)]
            else:
                if price not in self.sizes:
                    bisect.insort(self.prices, price)
                self.sizes[price] = size


class Book:
    """One symbol's rows of `l2`, applied in order."""

    def __init__(self) -> None:
        self.bid, self.ask = Side(), Side()
        self.tops: list[str] = []
        self.last_id: int | None = None
        self.chained = True

    def apply(self, row: dict[str, object]) -> None:
        if row["source"] == "checkpoint":
            return
        self.chained &= row["prev_id"] == self.last_id
        if row["is_snapshot"]:
            self.bid.clear()
            self.ask.clear()
        self.bid.put(row["bid_prices"], row["bid_sizes"])  # type: ignore[arg-type]
        self.ask.put(row["ask_prices"], row["ask_sizes"])  # type: ignore[arg-type]
        self.last_id = row["last_id"]  # type: ignore[assignment]
        self.tops.append(self.top())

    def top(self) -> str:
        bid = self.bid.prices[-1] if self.bid.prices else None
        ask = self.ask.prices[0] if self.ask.prices else None
        cells = ["" if self.last_id is None else str(self.last_id)]
        for side, price in ((self.bid, bid), (self.ask, ask)):
            cells += ["", ""] if price is None else [canonical(price), canonical(side.sizes[price])]
        return "|".join(cells)

    def lines(self) -> Iterator[str]:
        for price in reversed(self.bid.prices):
            yield f"bid {canonical(price)} {canonical(self.bid.sizes[price])}"
        for price in self.ask.prices:
            yield f"ask {canonical(price)} {canonical(self.ask.sizes[price])}"


def books(l2: pl.DataFrame) -> dict[Key, Book]:
    """Every instrument's book as `l2` tells it."""
    found: dict[Key, Book] = {}
    for row in in_order(l2).iter_rows(named=True):
        found.setdefault((row["exchange"], row["symbol"]), Book()).apply(row)
    return found
