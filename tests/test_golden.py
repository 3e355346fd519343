"""Recordings of the real exchange against what an independent oracle found in them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import xtrader as xt
from rebuilt import Key, books, in_order, sha256, trade_lines
from xtrader.config import Numeric

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "captures"
TABLES = ["trades", "l2", "bbo", "gaps", "instruments"]
NUMBERS = {
    "trades": ["price", "size"],
    "bbo": ["bid_price", "bid_size", "ask_price", "ask_size"],
    "l2": ["bid_prices", "bid_sizes", "ask_prices", "ask_sizes"],
}

# Folders of the exchanges that are built in, by the word that the recordings and the oracle use.
FEEDS = ["binance", "binance_usdm", "okx", "deribit"]

# Connections each with losses of its own: together they must give the recording they were made from.
MERGED = {
    "synthetic/binance.arb2": "binance/cf_2021-10-12_4sym",
    "synthetic/binance_usdm.arb2": "binance_usdm/cf_2021-07-22_4sym",
    "synthetic/deribit.arb2": "deribit/cf_2021-04-05_options",
}

# Several real connections to the same streams: the oracle looks at each by itself.
SPLIT = {f"okx/cf_2021-07-22_redundant3#{n}": f"ws-{n}" for n in (1, 2, 3)}


def recordings() -> list[str]:
    """Every recording of the exchanges that are built in, by `folder/name`."""
    found = [path for feed in FEEDS for path in sorted(CAPTURES.glob(f"{feed}/*.jsonl*"))]
    found += [path for feed in FEEDS for path in sorted(CAPTURES.glob(f"synthetic/{feed}.*.jsonl*"))]
    names = [f"{path.parent.name}/{path.name.split('.jsonl')[0]}" for path in found]
    whole = {name.partition("#")[0] for name in SPLIT}
    return [name for name in names if name not in whole] + [name for name in SPLIT if names]


RECORDINGS = recordings()
FRAMES = [name for name in RECORDINGS if name.endswith("_frames")]
RUNS = [name for name in RECORDINGS if name not in FRAMES and name not in MERGED]
ONE_CONNECTION = [name for name in RUNS if name not in SPLIT]


def test_there_are_recordings(captures: Path) -> None:
    assert {name.partition("/")[0] for name in RUNS} >= set(FEEDS), f"not of every exchange in {captures}"


def whole(name: str) -> Path:
    return next(CAPTURES.glob(f"{name.partition('#')[0]}.jsonl*"))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a recording; of one with several connections, a copy with one of them alone."""
    made: dict[str, Path] = {}

    def path(name: str) -> Path:
        if name not in SPLIT:
            return whole(name)
        if name not in made:
            lines = [line for line in lines_of(name) if line["dir"] == "http" or line["conn"] == SPLIT[name]]
            made[name] = tmp_path_factory.mktemp("okx") / f"okx.{SPLIT[name]}.jsonl"
            made[name].write_text("".join(json.dumps(line) + "\n" for line in lines))
        return made[name]

    return path


def lines_of(name: str) -> Iterator[dict[str, Any]]:
    path = whole(name)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            yield json.loads(line)


def golden(name: str) -> dict[str, Any]:
    """What the oracle found; of a recording with several connections, what concerns the one."""
    name, _, _ = name.partition("#")
    found: dict[str, Any] = json.loads((CAPTURES / "golden" / f"{name}.json").read_text())
    return found


def golden_books(name: str) -> dict[str, dict[str, Any]]:
    """The oracle's books by native symbol."""
    found = golden(name)["books"]
    own = {key: book for key, book in found.items() if name not in SPLIT or key.startswith(f"{SPLIT[name]}|")}
    return {key.split("|")[-1]: book for key, book in own.items()}


@dataclass
class Replayed:
    tables: dict[str, pl.DataFrame]
    report: dict[str, Any]

    def table(self, name: str) -> pl.DataFrame:
        return self.tables.get(name, pl.DataFrame())


def replay(path: Path, numeric: Numeric) -> Replayed:
    # The oracle knows the exchanges' own sizes.
    run = xt.replay(path, tables=TABLES, numeric=numeric, size_unit="native")
    batches: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in run:
        batches[batch.table].append(batch.to_polars())
    tables = {table: in_order(pl.concat(frames)) for table, frames in batches.items()}
    if "trades" in tables:
        tables["trades"] = tables["trades"].with_columns(ts_event_ns=pl.col("ts_event").dt.timestamp("ns"))
    return Replayed(tables, run.report())


@pytest.fixture(scope="module")
def decimal(capture: Callable[[str], Path]) -> dict[str, Replayed]:
    """Each recording in `decimal`, replayed once."""
    return {name: replay(capture(name), "decimal") for name in RECORDINGS}


def market_of(feed: str, native: str) -> str:
    """The market of a native name, as the manuals tell them apart."""
    if feed != "okx":
        spot = feed == "deribit" and "_" in native and "-" not in native
        return {"binance": "binance-spot", "binance_usdm": "binance-futures", "deribit": "deribit"}[feed] + (
            "-spot" if spot else ""
        )
    parts = native.split("-")
    if len(parts) == 2:
        return "okx-spot"
    if parts[2] == "SWAP":
        return "okx-swap"
    return "okx-futures" if len(parts) == 3 else "okx-options"


def natives(truth: dict[str, Any]) -> dict[Key, str]:
    return {(market_of(truth["exchange"], native), unified): native for native, unified in truth["unified"].items()}


def lines_of_trades(replayed: Replayed, truth: dict[str, Any]) -> list[str]:
    trades = replayed.table("trades")
    return list(trade_lines(trades, truth["exchange"], natives(truth))) if len(trades) else []


@pytest.mark.parametrize("name", ONE_CONNECTION + FRAMES)
def test_trades_are_the_oracles_line_by_line(name: str, decimal: dict[str, Replayed]) -> None:
    truth = golden(name)
    lines = lines_of_trades(decimal[name], truth)
    assert lines[:3] == truth["trades"]["first3"]
    assert lines[-3:] == truth["trades"]["last3"]
    assert len(lines) == truth["trades"]["count"]
    assert sha256(lines) == truth["trades"]["sha256"]


@pytest.mark.parametrize("name", list(SPLIT))
def test_each_of_several_connections_brings_the_trades_of_all(name: str, decimal: dict[str, Replayed]) -> None:
    truth = golden(name)
    lines = lines_of_trades(decimal[name], truth)
    assert len(lines) == truth["trades_dedup_first_arrival"]["count"]
    for native, wanted in truth["trades_dedup_by_symbol"].items():
        own = [line for line in lines if line.split("|")[1] == native]
        assert (len(own), sha256(own)) == (wanted["count"], wanted["sha256"]), native


@pytest.mark.parametrize("name", RUNS)
def test_books_are_the_oracles_at_every_step(name: str, decimal: dict[str, Replayed], tmp_path: Path) -> None:
    truth, replayed = golden(name), decimal[name]
    reported = {book["native_symbol"]: book for book in replayed.report["books"]}
    rebuilt = books(replayed.table("l2")) if len(replayed.table("l2")) else {}
    wanted = golden_books(name)
    for native, expected in wanted.items():
        book = reported[native]
        own = rebuilt[book["exchange"], book["symbol"]]
        assert (book["exchange"], book["symbol"]) == (market_of(truth["exchange"], native), truth["unified"][native])
        for counter in ("updates", "accepted", "stale", "gaps", "resyncs", "duplicates", "snapshots", "last_id"):
            assert book[counter] == expected[counter], (native, counter)
        for counter in ("heartbeats", "checksum_pass", "checksum_fail", "sequence_resets"):
            assert book[counter] == expected.get(counter, 0), (native, counter)
        assert book["levels"] == expected["levels"]
        assert [list(level) for level in book["top10_bid"]] == expected["top10_bid"]
        assert [list(level) for level in book["top10_ask"]] == expected["top10_ask"]
        assert (book["state"] == "live") == expected["synced_at_end"]
        # What the table alone tells is the same book, at every step.
        assert own.chained
        # A proof of life without levels is a line of the oracle's and no row.
        assert len(own.tops) == expected["tob_lines"] - expected["heartbeats"]
        if expected["heartbeats"]:
            assert own.tops == without_repetitions(tops_of_the_oracle(name, native, tmp_path))
        else:
            assert sha256(own.tops) == expected["tob_sha256"]
        assert sha256(own.lines()) == expected["book_sha256"]
    assert len(reported) == len(wanted)


def tops_of_the_oracle(name: str, native: str, folder: Path) -> list[str]:
    """Every top of a book, as the oracle writes them out."""
    oracle, out = CAPTURES.parent / "tools" / "oracle.py", folder / "tops"
    subprocess.run([sys.executable, oracle, whole(name), "--tob", out], check=True, capture_output=True)
    cells = [line.split("|", 3) for line in out.read_text().splitlines()]
    return [cell[3] for cell in cells if cell[2] == native]


def without_repetitions(lines: list[str]) -> list[str]:
    return [line for n, line in enumerate(lines) if n == 0 or line != lines[n - 1]]


@pytest.mark.parametrize("name", RUNS)
def test_gaps_are_rows_two_for_each(name: str, decimal: dict[str, Replayed]) -> None:
    gaps = decimal[name].table("gaps")
    expected = sum(book["gaps"] for book in golden_books(name).values())
    resets = sum(book.get("sequence_resets", 0) for book in golden_books(name).values())
    if len(gaps) == 0:
        assert expected == resets == 0
        return
    of_books = gaps.filter(pl.col("stream").cast(pl.String) == "l2")
    new_epochs = of_books.filter(pl.col("cause").cast(pl.String) == "id_reset")
    assert (new_epochs["gap_id"].n_unique(), len(new_epochs)) == (resets, 2 * resets)
    of_books = of_books.filter(pl.col("cause").cast(pl.String) != "id_reset")
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
    arrived = sum(line["dir"] == "in" for line in lines_of(name) if name not in SPLIT or line["conn"] == SPLIT[name])
    assert frames["total"] == report["frames"] == counted == arrived <= truth["lines"].get("in", 0)
    # Single frames were cut by whoever kept them: a checksum over what was cut cannot pass.
    assert set(frames["rejected"]) <= ({"checksum"} if name in FRAMES else set())
    rows = {table: len(decimal[name].table(table)) for table in TABLES}
    assert report["rows"] == rows


@pytest.mark.parametrize("name", RECORDINGS)
def test_float_is_the_float_of_the_text(
    name: str, decimal: dict[str, Replayed], capture: Callable[[str], Path]
) -> None:
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
    lines = lines_of_trades(merged, truth)
    for line in lines:
        by_symbol[line.split("|")[1]].add(line)
    assert len(lines) == truth["trades_dedup_first_arrival"]["count"], "each trade once"
    source = decimal[MERGED[name]]
    expected = defaultdict(set)
    for line in lines_of_trades(source, truth):
        expected[line.split("|")[1]].add(line)
    assert by_symbol == expected
    reported = {book["native_symbol"]: book for book in merged.report["books"]}
    rebuilt = books(merged.table("l2"))
    for native, wanted in golden_books(MERGED[name]).items():
        book = reported[native]
        own = rebuilt[book["exchange"], book["symbol"]]
        assert book["accepted"] == wanted["accepted"]
        assert book["last_id"] == wanted["last_id"]
        assert book["gaps"] == 0
        assert sha256(own.tops) == wanted["tob_sha256"]
        assert sha256(own.lines()) == wanted["book_sha256"]


def test_several_real_connections_give_what_the_most_complete_of_them_has() -> None:
    for name in sorted({name.partition("#")[0] for name in SPLIT if name in RECORDINGS}):
        truth, merged = golden(name), replay(whole(name), "decimal")
        lines = lines_of_trades(merged, truth)
        assert len(lines) == truth["trades_dedup_first_arrival"]["count"], "each trade once"
        for native, wanted in truth["trades_dedup_by_symbol"].items():
            own = [line for line in lines if line.split("|")[1] == native]
            assert (len(own), sha256(own)) == (wanted["count"], wanted["sha256"]), native
        told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key, book in truth["books"].items():
            told[key.split("|")[-1]].append(book)
        reported = {book["native_symbol"]: book for book in merged.report["books"]}
        rebuilt = books(merged.table("l2"))
        assert set(reported) == set(told)
        for native, each in told.items():
            best, book = max(each, key=lambda one: int(one["accepted"])), reported[native]
            assert (book["accepted"], book["gaps"], book["checksum_fail"]) == (best["accepted"], 0, 0), native
            rows = rebuilt[book["exchange"], book["symbol"]]
            assert (sha256(rows.tops), sha256(rows.lines())) == (best["tob_sha256"], best["book_sha256"]), native
        assert len(merged.table("gaps")) == 0


@pytest.mark.parametrize("name", ONE_CONNECTION)
def test_reference_data_is_complete(name: str, decimal: dict[str, Replayed]) -> None:
    replies = [line for line in lines_of(name) if line["dir"] == "http" and "depth?" not in line["url"]]
    for reply, wanted in zip(replies, golden(name)["instruments"], strict=True):
        rows = decimal[name].table("instruments")
        listed = names_in(json.loads(reply["frame"]))
        lines = sorted(
            f"{row['native_symbol']}|{row['status_native']}|{text(row['tick_size'])}|{text(row['lot_size'])}"
            for row in rows.iter_rows(named=True)
            if row["native_symbol"] in listed
        )
        assert len(lines) == wanted["count"]
        assert lines[:3] == wanted["first3_sorted"]
        assert sha256(lines) == wanted["sha256_sorted"]


def names_in(reply: dict[str, Any]) -> set[str]:
    rows = reply.get("symbols") or reply.get("data") or reply["result"]
    return {row.get("symbol") or row.get("instId") or row["instrument_name"] for row in rows}


def text(number: Any) -> str:
    from rebuilt import canonical

    return "" if number is None else canonical(number)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_same_input_gives_the_same_rows_whatever_the_batches(
    name: str, decimal: dict[str, Replayed], capture: Callable[[str], Path]
) -> None:
    small = xt.replay(capture(name), tables=TABLES, numeric="decimal", size_unit="native", batch={"max_rows": 7})
    again: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for batch in small:
        assert len(batch) <= 7
        again[batch.table].append(batch.to_polars())
    for table, frames in again.items():
        whole = pl.concat(frames)
        expected = decimal[name].table(table)
        assert whole.equals(expected.select(whole.columns)), table
