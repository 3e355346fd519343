"""Recordings made of each simulated exchange, faults included, against what an independent oracle finds in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import xtrader as xt
from rebuilt import books, in_order, sha256, trade_lines
from test_golden import natives

ORACLE = Path(__file__).resolve().parents[2] / "shared" / "tools" / "oracle.py"

# Of every kind but combos, whose names the oracle cannot read.
DERIBIT = (
    "BTC-PERPETUAL ETH-PERPETUAL BTC_USDC-PERPETUAL BTC-25DEC26 BTC-25DEC26-100000-C XRP_USDC-25DEC26-1d02-C BTC_USDC"
)

# Each exchange by the oracle's word for it.
FEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "binance-futures": ("binance_usdm", {}),
    "binance-spot": ("binance", {}),
    "okx": ("okx", {}),
    "deribit": ("deribit", {"symbols": DERIBIT.split()}),
}

# Its trades come by two feeds, of which the engine takes one: what tells frames of the other.
OTHER_FEED = {"binance-futures": '"e":"trade"', "binance-spot": '"e":"trade"', "okx": '"channel":"trades-all"'}

# What befalls the recorder's sockets, and how often.
FAULTS: dict[str, list[tuple[str, int, dict[str, Any]]]] = {
    "nothing": [],
    "lost": [("drop", 6, {})],
    "repeated and swapped": [("duplicate", 10, {}), ("swap", 4, {})],
    "old and torn": [("stale", 5, {}), ("malformed", 3, {"how": "truncated"})],
    "cut": [("disconnect", 1, {}), ("drop", 3, {})],
}


@pytest.fixture
def oracle(captures: Path) -> Path:
    assert captures.exists()
    return ORACLE


# Fault: X01, X03, X07, B01
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("exchange", FEEDS)
def test_a_recording_with_faults_replays_to_what_the_oracle_finds(
    exchange: str, fault: str, oracle: Path, tmp_path: Path
) -> None:
    feed, config = FEEDS[exchange]
    path = tmp_path / f"{feed}.jsonl"
    with xt.Simulator(exchange=exchange, seed=len(fault), **config) as simulator:
        for n, (kind, times, fields) in enumerate(FAULTS[fault]):
            simulator.inject(kind, when={"after_frames": 100 + 50 * n, "times": times}, **fields)
        simulator.record(path, 2.0)
    other = OTHER_FEED.get(exchange)
    lines = [line for line in path.read_text().splitlines(True) if not other or other not in json.loads(line)["frame"]]
    path.write_text("".join(lines))
    command = [sys.executable, str(oracle), str(path), "--exchange", feed]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    run = xt.replay(path, exchange=exchange, numeric="decimal", size_unit="native", tables=["l2", "trades"])
    batches: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in run:
        batches[batch.table].append(batch.to_polars())
    report = run.report()
    rebuilt = books(in_order(pl.concat(batches["l2"])))
    reported = {book["native_symbol"]: book for book in report["books"]}

    by_symbol: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key, book in found["books"].items():
        by_symbol[key.split("|")[-1]].append(book)
    assert by_symbol
    for native, wanted in by_symbol.items():
        own = reported[native]
        book = rebuilt[own["exchange"], own["symbol"]]
        assert book.chained
        assert own["last_id"] == wanted[-1]["last_id"]
        assert (own["state"] == "live") == wanted[-1]["synced_at_end"]
        assert own["updates"] == sum(each["updates"] for each in wanted)
        assert sha256(book.lines()) == wanted[-1]["book_sha256"]
        if len(wanted) > 1:
            # The oracle begins anew with each connection, and its book with the levels of one snapshot.
            continue
        for counter in ("accepted", "stale", "gaps", "duplicates", "snapshots"):
            assert own[counter] == wanted[0][counter], (native, counter)
        assert sha256(book.tops) == wanted[0]["tob_sha256"]
    trades = pl.concat(batches["trades"]).with_columns(ts_event_ns=pl.col("ts_event").dt.timestamp("ns"))
    taken = list(trade_lines(trades, feed, natives(found)))
    assert len(taken) == found["trades_dedup_first_arrival"]["count"]
    for native, each in found["trades_dedup_by_symbol"].items():
        told = [line for line in taken if line.split("|")[1] == native]
        assert (len(told), sha256(told)) == (each["count"], each["sha256"]), native
    frames = report["counters"]["frames"]
    plain = sum(frames[outcome] for outcome in ("accepted", "duplicate", "stale", "held", "held_dropped"))
    assert plain + sum(frames["ignored"].values()) + sum(frames["rejected"].values()) == found["lines"]["in"]
