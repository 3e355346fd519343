"""Live trades for a few seconds, from the exchange that XTrader brings along.

    python examples/stream_trades.py [SECONDS]

Leave `endpoints` out and the same lines talk to Binance.
"""

from __future__ import annotations

import sys
import time

import polars as pl

import xtrader as xt


def main(seconds: float) -> None:
    """Prints what each symbol traded."""
    frames: list[pl.DataFrame] = []
    with (
        xt.Simulator(seed=7, symbols=["BTCUSDT", "ETHUSDT"]) as exchange,
        xt.stream(
            ["binance-futures:BTCUSDT", "binance-futures:ETHUSDT"],
            streams=["trades"],
            tables=["trades"],
            endpoints=exchange.endpoints,
        ) as stream,
    ):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                batch = stream.next(timeout=left)
            except TimeoutError:
                break
            if batch is None:
                break
            frames.append(batch.to_polars())
        accounts = stream.report()["counters"]["frames"]
    trades = pl.concat(frames)
    latency = (pl.col("ts_recv") - pl.col("ts_event")).dt.total_milliseconds()
    print(
        trades.group_by("symbol", maintain_order=True).agg(
            pl.len().alias("trades"),
            pl.col("size").sum().alias("volume"),
            pl.col("price").last().alias("last"),
            latency.median().alias("ms from match to receipt"),
        )
    )
    print("every frame has its account:", {outcome: count for outcome, count in accounts.items() if count})


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
