"""A recorded session as Polars frames, one a table.

python examples/replay_to_polars.py CAPTURE…
"""

from __future__ import annotations

import sys
from collections import defaultdict

import polars as pl

import xtrader as xt


def tables(*captures: str) -> dict[str, pl.DataFrame]:
    """Every table that the recordings fill, in the order of truth."""
    frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in xt.replay(*captures):
        frames[batch.table].append(batch.to_polars())
    return {table: pl.concat(rows).sort("shard", "msg_id", "row") for table, rows in frames.items()}


if __name__ == "__main__":
    for name, frame in tables(*sys.argv[1:]).items():
        first, last = frame["ts_recv"].dt.to_string().gather([0, -1])
        print(f"{name}: {len(frame):,} rows, {first} to {last}")
        print(frame.select("ts_event", "symbol", *frame.columns[10:16]).tail(3))
