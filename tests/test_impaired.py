"""Recordings of the real exchanges over several connections with losses and lags: together they give the undamaged one.

The impairment is drawn by a seed; what must come out the oracle says of the recording itself.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rebuilt import books, sha256
from test_golden import CAPTURES, Replayed, lines_of, lines_of_trades, replay

Line = dict[str, Any]

RECORDINGS = [
    "binance/cf_2021-04-17_10sym",
    "binance_usdm/cf_2021-07-22_4sym",
    "deribit/cf_2021-04-05_options",
    "okx/cf_2022-05-13_books",
]
SEEDS = range(3)


def is_market_data(line: Line) -> bool:
    return line["dir"] == "in" and any(
        word in line["frame"] for word in ('"stream":', '"action":', '"params":', '"data":')
    )


def with_ids(line: Line, last: dict[str, int]) -> Line:
    """OKX's books of 2022 had no ids: the recording gets those of today, which is what several connections need."""
    message = json.loads(line["frame"])
    if line["dir"] != "in" or "action" not in message:
        return line
    native = message["arg"]["instId"]
    for book in message["data"]:
        is_update = message["action"] == "update"
        book["prevSeqId"] = last[native] if is_update else -1
        last[native] = book["seqId"] = last[native] + 1 + len(book["bids"]) if is_update else 9_000_000_000_000
    return line | {"frame": json.dumps(message, separators=(",", ":"))}


def undamaged(name: str) -> list[Line]:
    last: dict[str, int] = {}
    lines = list(lines_of(name))
    return [with_ids(line, last) for line in lines] if name.startswith("okx/") else lines


def outages(draw: random.Random, connections: int, begin: int, end: int) -> list[tuple[int, int, int]]:
    """Which connection is gone, from when to when: one at a time."""
    found, at = [], begin + (end - begin) // 10
    while at < end:
        until = at + int(draw.random() * min(3e9, (end - begin) / 5))
        found.append((draw.randrange(connections), at, until))
        at = until + int(1e9 + draw.random() * (end - begin) / 4)
    return found


def impaired(lines: list[Line], seed: int, may_return: bool) -> list[Line]:
    """Each frame on two to four connections, each with a lag, losses, repetitions and torn frames of its own.

    Where they may, they go and come back. No frame is lost by all, and of each one copy is sound.
    """
    draw = random.Random(seed)  # noqa: S311
    connections = range(draw.randint(2, 4))
    lag_ms = [draw.choice([1, 4, 40, 200]) for _ in connections]
    loss, repeats, torn = draw.choice([0.02, 0.1, 0.3]), draw.choice([0, 0.02, 0.2]), draw.choice([0, 0.02])
    begin, end = int(lines[0]["recv_ns"]), int(lines[-1]["recv_ns"])
    gone = outages(draw, len(connections), begin, end) if may_return else []
    url = next((line["url"] for line in lines if line["dir"] == "in" and "url" in line), None)
    reached = dict.fromkeys(connections, 0)
    named: set[str] = set()
    copies: list[Line] = []
    # The first frames are spared: a connection that has not spoken yet is not known to bring what others lack.
    spared = 50
    for line in lines:
        if line["dir"] != "in":
            copies.append(line)
            continue
        sent = line["recv_ns"]
        up = [n for n in connections if not any(who == n and since <= sent < until for who, since, until in gone)]
        bringing = [n for n in up if draw.random() >= loss]
        is_spared = spared > 0 or not is_market_data(line)
        if not bringing or is_spared:
            bringing = up
        spared -= 1
        sound = draw.choice(bringing)
        for n in bringing:
            at = max(reached[n] + 1, sent + int(draw.random() * lag_ms[n] * 1e6))
            # Who comes back is another connection.
            conn = f"copy-{n + 1}.{sum(who == n and until <= sent for who, _, until in gone)}"
            copy = {key: value for key, value in line.items() if key != "url"} | {"conn": conn, "recv_ns": at}
            if n != sound and not is_spared and draw.random() < torn:
                copy["frame"] = copy["frame"][: draw.randrange(1, len(copy["frame"]))]
            copies.append(copy | {"url": url} if conn not in named and url else copy)
            named.add(conn)
            # A book that its own connection tells anew is told anew.
            if '"snapshot"' not in copy["frame"] and draw.random() < repeats:
                at += 1
                copies.append(copy | {"recv_ns": at})
            reached[n] = at
    return sorted(copies, key=lambda line: int(line["recv_ns"]))


def written(lines: list[Line], path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def by_symbol(replayed: Replayed, truth: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines_of_trades(replayed, truth):
        found[line.split("|")[1]].append(line)
    return {symbol: sorted(lines) for symbol, lines in found.items()}


# Fault: X01, X03
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECORDINGS)
def test_lossy_connections_give_the_undamaged_recording(name: str, seed: int, captures: Path, tmp_path: Path) -> None:
    assert captures == CAPTURES
    feed = name.partition("/")[0]
    lines = undamaged(name)
    source = written(lines, tmp_path / "source" / feed / "recording.jsonl")
    oracle = [sys.executable, str(captures.parent / "tools" / "oracle.py"), str(source), "--exchange", feed]
    truth = json.loads(subprocess.run(oracle, check=True, capture_output=True, text=True).stdout)
    # Where the book comes on the stream, a connection that comes back begins with one that no recording has.
    copies = impaired(lines, seed, may_return=feed.startswith("binance"))
    merged = replay(written(copies, tmp_path / "merged" / feed / "recording.jsonl"), "decimal")

    assert by_symbol(merged, truth) == by_symbol(replay(source, "decimal"), truth)
    assert len(lines_of_trades(merged, truth)) == truth["trades_dedup_first_arrival"]["count"], "each trade once"
    reported = {book["native_symbol"]: book for book in merged.report["books"]}
    rebuilt = books(merged.table("l2"))
    for key, wanted in truth["books"].items():
        native = key.split("|")[-1]
        book = reported[native]
        own = rebuilt[book["exchange"], book["symbol"]]
        assert own.chained
        assert (native, book["accepted"], book["gaps"]) == (native, wanted["accepted"], 0)
        assert (native, sha256(own.tops)) == (native, wanted["tob_sha256"])
        assert (native, sha256(own.lines())) == (native, wanted["book_sha256"])
    gaps = merged.table("gaps")
    if len(gaps):
        closed = gaps.filter(pl.col("ts_resumed").is_not_null())
        assert set(closed["gap_id"]) == set(gaps["gap_id"]), "no gap is left open"
        assert set(closed["repaired"].cast(pl.String)) == {"connection"}
