"""Recordings of the real exchanges, damaged on their one connection, against the oracle's reading of the same damage.

Frames are lost, come twice (at once, or much later) and overtake one another, and a book that a loss has broken is sent
whole again. Every count, every top of book, every book and every trade must be the oracle's. Where our rules are better
than its, which keeps to the letter of the manuals, [`Judge`] says how.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import random
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rebuilt import books, sha256
from test_golden import CAPTURES, RUNS, SPLIT, lines_of, lines_of_trades, replay, without_repetitions

Line = dict[str, Any]

# The most frames of one recording: what damage does shows in the first thousands.
FRAMES = 4_000
SEEDS = range(3)
COUNTS = (
    "updates",
    "accepted",
    "stale",
    "gaps",
    "resyncs",
    "duplicates",
    "snapshots",
    "last_id",
    "heartbeats",
    "checksum_pass",
    "checksum_fail",
    "sequence_resets",
)
REAL = [name for name in RUNS if not name.startswith("synthetic/")]
# OKX's books of today have ids and those that were recorded have none.
WITH_IDS = [f"{name} with ids" for name in REAL if name.startswith("okx/")]


def oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oracle", CAPTURES.parent / "tools" / "oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judges() -> tuple[ModuleType, type[Any]]:  # noqa: C901 - two small classes of a module that is loaded here
    """The oracle, and the same with what docs/architecture.md says beyond the manuals."""
    plain: Any = oracle()

    class BinanceBook(plain.BinanceBook):  # type: ignore[misc]
        def bridges(self, diff: Line, last: int) -> bool:
            prev = diff["pu"] if self.rule == "binance_futures" else diff["U"] - 1
            return bool((diff["U"] <= last or prev <= last) and last <= diff["u"])

        def is_stale(self, diff: Line, last: int) -> bool:
            return bool(diff["u"] < last if self.rule == "binance_futures" else diff["u"] <= last)

        def on_snapshot(self, d: Line) -> None:
            last = d["lastUpdateId"]
            # A snapshot that is no newer than the one that was taken brings nothing.
            if self.synced and not self.bridged and last <= self.last:
                return
            if not self.synced:
                # What is held is tried in the order of what it follows, and a snapshot older than all of it is fetched
                # again before it is taken.
                self.buffer.sort(key=lambda diff: (diff.get("pu", diff["U"]), diff["u"]))
                first = next((diff for diff in self.buffer if not self.is_stale(diff, last)), None)
                if first is not None and not self.bridges(first, last):
                    return
            super().on_snapshot(d)

    plain.BinanceBook = BinanceBook

    class Judge(plain.Run):  # type: ignore[misc]
        def on_okx(self, r: Line, j: Line) -> str:
            if j.get("action") != "update":
                kind: str = super().on_okx(r, j)
                if j.get("action") == "snapshot":
                    self.book_of(r, j).time = int(j["data"][0]["ts"])
                return kind
            book, [data] = self.book_of(r, j), j["data"]
            follows = data.get("prevSeqId") == book.last
            # An earlier time shows what is repeated from before the book, where no chain does.
            if book.synced and int(data["ts"]) < book.time and not (follows and "seqId" in data):
                book.n.update(updates=1, duplicates=1)
                return "books update"
            before, failed = copy.deepcopy((book.bid, book.ask, book.last, book.tob)), book.n["checksum_fail"]
            accepted = book.n["accepted"]
            kind = super().on_okx(r, j)
            if book.n["checksum_fail"] > failed:
                # A book that is not the exchange's is none: it is broken until it is sent whole.
                (book.bid, book.ask, book.last, book.tob) = before
                book.n["accepted"] -= 1
                book.gap()
            elif book.n["accepted"] > accepted:
                book.time = int(data["ts"])
            return kind

        def book_of(self, r: Line, j: Line) -> Any:
            return self.book(r["conn"], j["arg"]["channel"], j["arg"]["instId"], plain.Book, "okx_books")

    return plain, Judge


def source(name: str) -> list[Line]:
    """The lines of a recording, with one connection; OKX's books with ids where they are asked for."""
    name, _, ids = name.partition(" with ")
    lines = [line for line in lines_of(name) if name not in SPLIT or line["conn"] in {SPLIT[name], "http"}]
    if not ids:
        return lines[:FRAMES]
    last: dict[str, int] = {}
    for line in lines:
        if (message := books_message(line)) is None:
            continue
        native = message["arg"]["instId"]
        for book in message["data"]:
            is_update = message["action"] == "update"
            book["prevSeqId"] = last[native] if is_update else -1
            last[native] = book["seqId"] = last[native] + 1 + len(book["bids"]) if is_update else 9_000_000_000_000
        line["frame"] = json.dumps(message, separators=(",", ":"))
    return lines


def books_message(line: Line) -> Line | None:
    if line["dir"] != "in" or '"action"' not in line["frame"]:
        return None
    message: Line = json.loads(line["frame"])
    return message


def change_of(line: Line) -> str | None:
    """Whose book a line changes."""
    if line["dir"] != "in":
        return None
    message = json.loads(line["frame"])
    if not isinstance(message, dict):
        return None
    if message.get("action") == "update":
        return str(message["arg"]["instId"])
    told = message.get("data", message)
    if isinstance(told, dict) and told.get("e") == "depthUpdate":
        return str(told["s"])
    book = message.get("params", {}).get("data")
    is_change = isinstance(book, dict) and book.get("type") == "change"
    return str(book["instrument_name"]) if is_change else None


def is_market_data(line: Line) -> bool:
    words = ('"stream":', '"action":', '"params":', '"data":', '"e":')
    return line["dir"] == "in" and any(word in line["frame"] for word in words)


def whole_book(plain: Any, feed: str, line: Line, native: str, book: Any) -> Line:
    """The book after a line, as the exchange sends it."""
    bids, asks = book.bid.best_first(1000), book.ask.best_first(1000)
    if feed.startswith("binance"):
        hosts = {"binance": "https://api.binance.com/api/v3", "binance_usdm": "https://fapi.binance.com/fapi/v1"}
        sides = {"bids": [list(level) for level in bids], "asks": [list(level) for level in asks]}
        frame = json.dumps({"lastUpdateId": book.last, **sides})
        url = f"{hosts[feed]}/depth?symbol={native}&limit=1000"
        return {"recv_ns": line["recv_ns"], "conn": "http", "dir": "http", "url": url, "frame": frame}
    message = plain.load(line["frame"])
    if feed == "okx":
        message["action"], [data] = "snapshot", message["data"]
        data["bids"], data["asks"] = ([[*level, "0", "1"] for level in side] for side in (bids, asks))
        data |= {"prevSeqId": -1} if "prevSeqId" in data else {}
        data |= {"checksum": plain.okx_crc(book)} if data.get("checksum") else {}
        return line | {"frame": json.dumps(message, separators=(",", ":"))}
    data = message["params"]["data"]
    texts = {
        side: "[" + ",".join(f'["new",{price},{size}]' for price, size in levels) + "]"
        for side, levels in (("bids", bids), ("asks", asks))
    }
    frame = (
        f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{message["params"]["channel"]}","data":'
        f'{{"type":"snapshot","timestamp":{data["timestamp"]},"instrument_name":"{native}",'
        f'"change_id":{data["change_id"]},"bids":{texts["bids"]},"asks":{texts["asks"]}}}}}}}'
    )
    return line | {"frame": frame}


def damaged(plain: Any, feed: str, lines: list[Line], seed: int) -> list[Line]:  # noqa: C901 - one damage after the other
    draw = random.Random(seed)  # noqa: S311
    loss, twice, late, swap = (
        draw.choice(shares) for shares in ([0, 0.01, 0.05], [0, 0.01, 0.1], [0, 0.02], [0, 0.02])
    )
    if not any((loss, twice, late, swap)):
        twice = 0.05
    clean = plain.Run(feed)
    sent: list[Line] = []
    due: dict[str, int] = {}
    again: list[tuple[int, Line]] = []
    for number, line in enumerate(lines):
        clean.line(line)
        sent += [copied for at, copied in again if at == number]
        native = change_of(line)
        book = next((b for key, b in clean.books.items() if key[-1] == native), None) if native else None
        if book is None or not book.synced:
            is_lost = is_market_data(line) and native is None and '"snapshot"' not in line["frame"]
            if not (is_lost and draw.random() < loss):
                sent.append(line)
            continue
        assert native is not None
        if native in due:
            due[native] -= 1
            if due[native] == 0:
                del due[native]
                sent += [line] if feed.startswith("binance") else []
                sent.append(whole_book(plain, feed, line, native, book))
                continue
        elif draw.random() < loss:
            due[native] = draw.randint(2, 7)
            continue
        sent.append(line)
        if draw.random() < twice:
            sent.append(line)
        if draw.random() < late:
            again.append((number + draw.randint(2, 40), line))
    for n in range(len(sent) - 1):
        one, other = sent[n], sent[n + 1]
        if draw.random() < swap and is_market_data(one) and is_market_data(other):
            sent[n] = one | {"frame": other["frame"]}
            sent[n + 1] = other | {"frame": one["frame"]}
    return sent


# Fault: X01, X03
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", REAL + WITH_IDS)
def test_a_damaged_recording_is_what_the_oracle_finds_in_it(
    name: str, seed: int, captures: Path, tmp_path: Path
) -> None:
    assert captures == CAPTURES
    feed = name.partition("/")[0]
    plain, judge = judges()
    sent = damaged(plain, feed, source(name), seed)
    run = judge(feed)
    for line in sent:
        run.line(line)
    truth = run.result(name)
    path = tmp_path / feed / "damaged.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(line) + "\n" for line in sent))
    replayed = replay(path, "decimal")

    trades: dict[str, list[str]] = defaultdict(list)
    for trade in lines_of_trades(replayed, truth):
        trades[trade.split("|")[1]].append(trade)
    wanted = {native: (told["count"], told["sha256"]) for native, told in truth["trades_dedup_by_symbol"].items()}
    assert {native: (len(lines), sha256(lines)) for native, lines in trades.items()} == wanted

    reported = {book["native_symbol"]: book for book in replayed.report["books"]}
    rebuilt = books(replayed.table("l2")) if len(replayed.table("l2")) else {}
    for key, told in truth["books"].items():
        native = key.split("|")[-1]
        book = reported[native]
        counts = {count: book[count] for count in COUNTS}
        assert (native, counts) == (native, {count: told.get(count, 0) for count in COUNTS})
        assert (native, book["state"] == "live") == (native, told["synced_at_end"])
        if told["snapshots"]:
            own = rebuilt[book["exchange"], book["symbol"]]
            lines = run.books[tuple(key.split("|"))].tob
            # A proof of life without levels is a line of the oracle's and no row.
            assert (native, own.tops) == (native, without_repetitions(lines) if told["heartbeats"] else lines)
            assert (native, sha256(own.lines())) == (native, told["book_sha256"])
