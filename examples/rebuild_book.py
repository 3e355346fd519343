"""The order book at the end of a recording, rebuilt from rows of `l2` alone.

    python examples/rebuild_book.py CAPTURE [SYMBOL]

The rules of the table are all there is to it: a snapshot replaces, sizes are absolute, 0 deletes, and `prev_id` is the
id of the row before.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import xtrader as xt

Side = dict[Decimal, Decimal]


@dataclass
class Book:
    """One order book."""

    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    last_id: int | None = None

    def take(self, row: dict[str, Any]) -> None:
        """Takes the next row of its symbol."""
        if row["prev_id"] != self.last_id:
            raise ValueError(f"a row follows {row['prev_id']}, and the book is at {self.last_id}")
        for side, name in ((self.bids, "bid"), (self.asks, "ask")):
            if row["is_snapshot"]:
                side.clear()
            for price, size in zip(row[f"{name}_prices"], row[f"{name}_sizes"], strict=True):
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self.last_id = row["last_id"]


def rebuild(capture: str) -> tuple[dict[str, Book], xt.Replay]:
    """The book of each symbol, and the replay that gave the rows."""
    books: dict[str, Book] = {}
    replay = xt.replay(capture, tables=["l2"], numeric="decimal")
    for batch in replay:
        for row in batch.to_polars().iter_rows(named=True):
            books.setdefault(row["symbol"], Book()).take(row)
    return books, replay


def main(capture: str, symbol: str | None = None) -> None:
    """Prints the best levels, and holds the book against the engine's own."""
    books, replay = rebuild(capture)
    for told in replay.report()["books"]:
        if symbol in {None, told["symbol"]}:
            book = books[told["symbol"]]
            bids, asks = sorted(book.bids.items(), reverse=True), sorted(book.asks.items())
            print(f"{told['symbol']} at {book.last_id}: {len(bids)} bids, {len(asks)} asks")
            for levels in zip(bids[:5], asks[:5], strict=False):
                print(" | ".join(f"{size.normalize():>10f} at {price.normalize():f}" for price, size in levels))
            own = [[Decimal(price), Decimal(size)] for price, size in told["top10_bid"]]
            if own != [list(level) for level in bids[:10]]:
                raise SystemExit("the engine has another book")


if __name__ == "__main__":
    main(*sys.argv[1:])
