"""Recordings of the real exchange against what an independent oracle found in them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import xtrader as xt
from rebuilt import books, in_order, sha256, trade_lines
from xtrader.config import Numeric

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "captures"
TABLES = ["trades", "l2", "bbo", "gaps", "instruments"]
NUMBERS = {
    "trades": ["price", "size"],
    "bbo": ["bid_price", "bid_size", "ask_price", "ask_size"],
    "l2": ["bid_prices", "bid_sizes", "ask_prices", "ask_sizes"],
}

# Two connections each with losses of its own: together they must give the recording they were made from.
MERGED = {"synthetic/binance_usdm.arb2": "binance_usdm/cf_2021-07-22_4sym"}


def recordings() -> list[str]:
    """Every recording of the exchanges that are supported, by `folder/name`."""
    found = sorted(CAPTURES.glob("binance_usdm/*.jsonl*")) + sorted(CAPTURES.glob("synthetic/binance_usdm.*.jsonl*"))
    return [f"{path.parent.name}/{path.name.split('.jsonl')[0]}" for path in found]


RECORDINGS = recordings()
FRAMES = [name for name in RECORDINGS if name.endswith("_frames")]
RUNS = [name for name in RECORDINGS if name not in FRAMES and name not in MERGED]


def test_there_are_recordings(captures: Path) -> None:
    assert RUNS, f"no recordings in {captures}"


def capture(name: str) -> Path:
    return next(CAPTURES.glob(f"{name}.jsonl*"))


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / "golden" / f"{name}.json").read_text())
    return found


@dataclass
class Replayed:
    tables: dict[str, pl.DataFrame]
    report: dict[str, Any]

    def table(self, name: str) -> pl.DataFrame:
        return self.tables.get(name, pl.DataFrame())


def replay(path: Path, numeric: Numeric) -> Replayed:
    run = xt.replay(path, tables=TABLES, numeric=numeric)
    batches: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in run:
        batches[batch.table].append(batch.to_polars())
    tables = {table: in_order(pl.concat(frames)) for table, frames in batches.items()}
    if "trades" in tables:
        tables["trades"] = tables["trades"].with_columns(ts_event_ns=pl.col("ts_event").dt.timestamp("ns"))
    return Replayed(tables, run.report())


@pytest.fixture(scope="module")
def decimal() -> dict[str, Replayed]:
    """Each recording in `decimal`, replayed once."""
    return {name: replay(capture(name), "decimal") for name in RECORDINGS}


def natives(truth: dict[str, Any]) -> dict[str, str]:
    return {unified: native for native, unified in truth["unified"].items()}


@pytest.mark.parametrize("name", RUNS + FRAMES)
def test_trades_are_the_oracles_line_by_line(name: str, decimal: dict[str, Replayed]) -> None:
    truth, trades = golden(name), decimal[name].table("trades")
    lines = list(trade_lines(trades, truth["exchange"], natives(truth))) if len(trades) else []
    assert lines[:3] == truth["trades"]["first3"]
    assert lines[-3:] == truth["trades"]["last3"]
    assert len(lines) == truth["trades"]["count"]
    assert sha256(lines) == truth["trades"]["sha256"]


@pytest.mark.parametrize("name", RUNS)
def test_books_are_the_oracles_at_every_step(name: str, decimal: dict[str, Replayed]) -> None:
    truth, replayed = golden(name), decimal[name]
    reported = {book["symbol"]: book for book in replayed.report["books"]}
    rebuilt = books(replayed.table("l2"))
    for key, expected in truth["books"].items():
        native = key.split("|")[-1]
        symbol = truth["unified"][native]
        book, own = reported[symbol], rebuilt[symbol]
        for counter in ("updates", "accepted", "stale", "gaps", "resyncs", "duplicates", "snapshots", "last_id"):
            assert book[counter] == expected[counter], (symbol, counter)
        assert book["levels"] == expected["levels"]
        assert [list(level) for level in book["top10_bid"]] == expected["top10_bid"]
        assert [list(level) for level in book["top10_ask"]] == expected["top10_ask"]
        assert book["native_symbol"] == native
        assert (book["state"] == "live") == expected["synced_at_end"]
        # What the table alone tells is the same book, at every step.
        assert own.chained
        assert len(own.tops) == expected["tob_lines"]
        assert sha256(own.tops) == expected["tob_sha256"]
        assert sha256(own.lines()) == expected["book_sha256"]
    assert len(reported) == len(truth["books"])


@pytest.mark.parametrize("name", RUNS)
def test_gaps_are_rows_two_for_each(name: str, decimal: dict[str, Replayed]) -> None:
    truth, gaps = golden(name), decimal[name].table("gaps")
    expected = truth["books_total"]["gaps"]
    if len(gaps) == 0:
        assert expected == 0
        return
    of_books = gaps.filter(pl.col("stream").cast(pl.String) == "l2")
    assert of_books["gap_id"].n_unique() == expected
    assert len(of_books) == 2 * expected, "every gap of the recording is closed by a resync"
    l2 = decimal[name].table("l2")
    for gap_id in of_books["gap_id"].unique():
        detected, closed = of_books.filter(pl.col("gap_id") == gap_id).iter_rows(named=True)
        assert detected["ts_resumed"] is None
        assert closed["ts_resumed"] is not None
        assert closed["ts_detected"] == detected["ts_detected"]
        after = l2.filter(pl.col("symbol").cast(pl.String) == detected["symbol"]).filter(
            pl.col("msg_id") > detected["msg_id"]
        )
        assert after["is_snapshot"][0], "nothing is emitted between the break and the next snapshot"


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_frame_is_in_exactly_one_counter(name: str, decimal: dict[str, Replayed]) -> None:
    truth, report = golden(name), decimal[name].report
    frames = report["counters"]["frames"]
    plain = sum(frames[outcome] for outcome in ("accepted", "duplicate", "stale", "held", "held_dropped"))
    counted = plain + sum(frames["ignored"].values()) + sum(frames["rejected"].values())
    assert frames["total"] == report["frames"] == counted == truth["lines"]["in"]
    assert frames["rejected"] == {}
    rows = {table: len(decimal[name].table(table)) for table in TABLES}
    assert report["rows"] == rows


@pytest.mark.parametrize("name", RECORDINGS)
def test_float_is_the_float_of_the_text(name: str, decimal: dict[str, Replayed]) -> None:
    floats = replay(capture(name), "float")
    for table, columns in NUMBERS.items():
        exact, rounded = decimal[name].table(table), floats.table(table)
        assert len(exact) == len(rounded)
        for column in columns if len(exact) else []:
            left, right = exact[column], rounded[column]
            if exact.schema[column] == pl.List:
                left, right = left.explode(), right.explode()
            assert [float(str(number)) for number in left.drop_nulls()] == right.drop_nulls().to_list(), (table, column)


@pytest.mark.parametrize("name", [name for name in MERGED if name in RECORDINGS])
def test_two_lossy_connections_give_the_undamaged_recording(name: str, decimal: dict[str, Replayed]) -> None:
    truth, merged = golden(MERGED[name]), decimal[name]
    by_symbol = defaultdict(set)
    lines = list(trade_lines(merged.table("trades"), truth["exchange"], natives(truth)))
    for line in lines:
        by_symbol[line.split("|")[1]].add(line)
    assert len(lines) == truth["trades_dedup_first_arrival"]["count"], "each trade once"
    source = decimal[MERGED[name]]
    expected = defaultdict(set)
    for line in trade_lines(source.table("trades"), truth["exchange"], natives(truth)):
        expected[line.split("|")[1]].add(line)
    assert by_symbol == expected
    reported = {book["symbol"]: book for book in merged.report["books"]}
    rebuilt = books(merged.table("l2"))
    for key, wanted in truth["books"].items():
        symbol = truth["unified"][key.split("|")[-1]]
        assert reported[symbol]["accepted"] == wanted["accepted"]
        assert reported[symbol]["last_id"] == wanted["last_id"]
        assert reported[symbol]["gaps"] == 0
        assert sha256(rebuilt[symbol].tops) == wanted["tob_sha256"]
        assert sha256(rebuilt[symbol].lines()) == wanted["book_sha256"]


@pytest.mark.parametrize("name", RUNS)
def test_reference_data_is_complete(name: str, decimal: dict[str, Replayed]) -> None:
    for reply in golden(name)["instruments"]:
        rows = decimal[name].table("instruments")
        lines = sorted(
            f"{row['native_symbol']}|{row['status_native']}|{text(row['tick_size'])}|{text(row['lot_size'])}"
            for row in rows.iter_rows(named=True)
        )
        assert len(lines) == reply["count"]
        assert lines[:3] == reply["first3_sorted"]
        assert sha256(lines) == reply["sha256_sorted"]


def text(number: Any) -> str:
    from rebuilt import canonical

    return "" if number is None else canonical(number)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_same_input_gives_the_same_rows_whatever_the_batches(name: str, decimal: dict[str, Replayed]) -> None:
    small = xt.replay(capture(name), tables=TABLES, numeric="decimal", batch={"max_rows": 7})
    again: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in small:
        assert len(batch) <= 7
        again[batch.table].append(batch.to_polars())
    for table, frames in again.items():
        whole = pl.concat(frames)
        expected = decimal[name].table(table)
        assert whole.equals(expected.select(whole.columns)), table
