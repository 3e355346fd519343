"""Where trades can be trusted: the minutes of a session, each with what was missing in it.

    python examples/gaps_next_to_trades.py CAPTURE…

A gap is two rows with one `gap_id`. The second says when the stream went on, and how much was missing where the
exchange's own numbers tell.
"""

from __future__ import annotations

import sys

import polars as pl

import xtrader as xt

EVERY = "1m"


def minutes(*captures: str) -> pl.DataFrame:
    """Trades and missing trades of each symbol and minute."""
    frames: dict[str, list[pl.DataFrame]] = {"trades": [], "gaps": []}
    for batch in xt.replay(*captures, streams="trades", tables=list(frames)):
        frames[batch.table].append(batch.to_polars())
    if not frames["trades"]:
        raise SystemExit("the recording holds no trade")
    by = (pl.col("ts_recv").dt.truncate(EVERY).alias("minute"), "symbol")
    trades = pl.concat(frames["trades"]).group_by(*by).agg(pl.len().alias("trades"), pl.col("size").sum())
    if not frames["gaps"]:
        return trades.with_columns(gaps=pl.lit(0), missing=pl.lit(0)).sort("minute", "symbol")
    closed = pl.concat(frames["gaps"]).filter(pl.col("ts_resumed").is_not_null())
    gaps = closed.group_by(*by).agg(pl.len().alias("gaps"), pl.col("missing").sum())
    both = trades.join(gaps, on=["minute", "symbol"], how="full", coalesce=True)
    return both.with_columns(pl.col("trades", "gaps", "missing").fill_null(0)).sort("minute", "symbol")


if __name__ == "__main__":
    print(minutes(*sys.argv[1:]))
