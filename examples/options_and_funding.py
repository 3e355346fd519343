"""What the market thinks: implied volatility and funding of two exchanges, from the ones that XTrader brings along.

    python examples/options_and_funding.py [SECONDS]

Leave `endpoints` out and the same lines talk to OKX and Deribit. A message says what has changed and leaves the rest
null, so the newest of each column is what stands.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import polars as pl

import xtrader as xt

SUBSCRIPTIONS = {
    "okx": ("okx:kind=option,base=BTC", "okx:kind=perpetual"),
    "deribit": ("deribit:kind=option", "deribit:kind=perpetual"),
}
OPTIONS = ("underlying_price", "mark_price", "mark_iv", "delta", "open_interest")
DERIVATIVES = ("mark_price", "index_price", "funding_rate", "next_funding_time", "open_interest")


def collect(exchange: str, simulator: xt.Simulator, seconds: float) -> dict[str, list[pl.DataFrame]]:
    """The batches of a few seconds, by table."""
    frames: dict[str, list[pl.DataFrame]] = {"options": [], "derivatives": []}
    ends = time.monotonic() + seconds
    with xt.stream(
        *SUBSCRIPTIONS[exchange],
        streams=list(frames),
        tables=list(frames),
        # Without a login Deribit has no faster ones.
        depth_speed="100ms",
        endpoints=simulator.endpoints,
    ) as stream:
        while (left := ends - time.monotonic()) > 0:
            try:
                batch = stream.next(timeout=left)
            except TimeoutError:
                break
            if batch is not None:
                frames[batch.table].append(batch.to_polars())
    return frames


def newest(batches: Iterable[pl.DataFrame], columns: Iterable[str]) -> pl.DataFrame:
    """What stands: of each instrument and column the last value that is not null."""
    return (
        pl.concat(batches)
        .group_by("exchange", "symbol")
        .agg(pl.col(columns).drop_nulls().last())
        .sort("exchange", "symbol")
    )


def main(seconds: float = 5.0) -> None:
    """Prints a line an instrument, of both exchanges in one table."""
    found: dict[str, list[pl.DataFrame]] = {"options": [], "derivatives": []}
    for exchange in SUBSCRIPTIONS:
        with xt.Simulator(exchange=exchange, seed=7) as simulator:
            for table, batches in collect(exchange, simulator, seconds).items():
                found[table] += batches
    with pl.Config(tbl_cols=-1, tbl_width_chars=132, tbl_hide_dataframe_shape=True):
        print(newest(found["options"], OPTIONS))
        print(newest(found["derivatives"], DERIVATIVES))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
