"""The command line, as a shell sees it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

import xtrader as xt
from xtrader.cli import options
from xtrader.cli.storing import finishing

# Handed to sockets before a collector is told to stop: enough for every table.
FRAMES = 200


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which commands run: empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def run(xtrader_command: Path, here: Path) -> Any:
    """Runs the console script to its end."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(xtrader_command), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=here)

    return call


def collecting(xtrader_command: Path, simulator: xt.Simulator, *arguments: object) -> Sequence[str]:
    return [
        str(xtrader_command),
        *("collect", "binance-futures:BTCUSDT", "binance-futures:ETHUSDT"),
        *("--ws", simulator.ws_url, "--rest", simulator.rest_url),
        *map(str, arguments),
    ]


def stored(folder: Path) -> dict[str, int]:
    """Rows per table, read by others than ourselves; every file must be complete."""
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix == ".tmp"]
    tables = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return {table: pl.scan_parquet(folder / table).select(pl.len()).collect().item() for table in tables}


@pytest.mark.parametrize("command", [["xtrader"], [sys.executable, "-m", "xtrader"]])
def test_it_tells_its_version_and_build(command: list[str], xtrader_command: Path) -> None:
    command = [str(xtrader_command) if word == "xtrader" and len(command) == 1 else word for word in command]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    info = xt.build_info()
    assert done.stdout == (
        f"xtrader {info['version']} (commit {info['commit']}, profile {info['profile']}, {info['target']})\n"
    )


def test_help_names_every_command(run: Any) -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("demo", "collect", "replay", "simulate"):
        assert command in done.stdout
        assert run(command, "--help").returncode == 0


def test_replay_prints_a_summary(run: Any, recording: Path) -> None:
    done = run("replay", recording)
    assert done.returncode == 0, done.stderr
    assert "frames/s" in done.stdout
    assert "BTCUSDT" in done.stdout
    assert done.stderr == ""


def test_replay_prints_one_object_that_accounts_for_every_frame(run: Any, recording: Path) -> None:
    report = json.loads(run("replay", recording, "--json").stdout)
    assert {"frames", "bytes", "rows", "counters", "books", "elapsed_s", "frames_per_s"} <= report.keys()
    assert set(report["rows"]) == {"trades", "l2", "bbo", "gaps", "instruments"}
    frames = report["counters"]["frames"]
    assert report["frames"] == frames["total"] > 0
    parts = [frames[outcome] for outcome in ("accepted", "duplicate", "stale", "held", "held_dropped")]
    parts += [*frames["ignored"].values(), *frames["rejected"].values()]
    assert sum(parts) == frames["total"]
    for book in report["books"]:
        assert book["state"] == "live"
        assert len(book["top10_bid"]) == len(book["top10_ask"]) == 10


def test_the_summary_tells_what_became_of_rows_within_frames_unless_all_were_taken(run: Any, tmp_path: Path) -> None:
    def trade(number: int, size: str = "1") -> dict[str, str]:
        words = {"tradeId": str(number), "px": "100.5", "sz": size, "side": "buy", "ts": "1630048897897", "count": "1"}
        return {"instId": "BTC-USDT", **words, "source": "0"}

    def accounts(*frames: list[dict[str, str]]) -> list[list[str]]:
        arg = {"channel": "trades", "instId": "BTC-USDT"}
        texts = [json.dumps({"arg": arg, "data": data}, separators=(",", ":")) for data in frames]
        lines = [{"recv_ns": n, "conn": "a", "dir": "in", "frame": text} for n, text in enumerate(texts, 1)]
        folder = tmp_path / "okx"
        folder.mkdir(exist_ok=True)
        (folder / "trades.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        done = run("replay", folder / "trades.jsonl", "--exchange", "okx")
        assert done.returncode == 0, done.stderr
        shown = done.stdout.split("accounts\n")[1].split("\n\n")[0]
        return [line.split() for line in shown.splitlines()]

    assert accounts([trade(1), trade(2)]) == [["frames", "replies"], ["accepted", "1", "0"]]
    told = accounts([trade(1), trade(2, "0")], [trade(1), trade(3)], [trade(3)])
    assert told == [
        ["frames", "replies", "rows", "within"],
        ["accepted", "2", "0", "2"],
        ["duplicate", "1", "0", "1"],
        ["ignored:", "zero_price_or_size", "0", "0", "1"],
    ]


def test_replay_writes_what_it_says_and_never_over_something(run: Any, recording: Path, tmp_path: Path) -> None:
    done = run("replay", recording, "--out", tmp_path / "a", "--tables", "trades,levels", "--json")
    report = json.loads(done.stdout)
    assert {table: rows for table, rows in report["rows"].items() if rows} == stored(tmp_path / "a")
    assert {Path(file["path"]).parts[-4] for file in report["files"]} == {"trades", "levels"}
    for file in report["files"]:
        assert Path(file["path"]).stat().st_size == file["bytes"]
    again = run("replay", recording, "--out", tmp_path / "a", "--tables", "trades")
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    run("replay", recording, "--out", tmp_path / "b", "--tables", "trades,levels", "--json")
    for file in report["files"]:
        twin = tmp_path / "b" / Path(file["path"]).relative_to(tmp_path / "a")
        assert twin.read_bytes() == Path(file["path"]).read_bytes(), "same input, same bytes out"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["replay", "/nowhere.jsonl"], 1, "/nowhere.jsonl: "),
        (["replay", "x", "--tables", "candles"], 2, 'table "candles" is unknown; there is: trades'),
        (["replay", "x", "--streams", "candles"], 2, 'stream "candles" is not offered'),
        (["replay", "x", "--numeric", "roman"], 2, "'roman' is not one of"),
        (["replay"], 2, "Missing argument"),
        (
            ["collect", "kraken:BTCUSD", "--out", "x"],
            2,
            'exchange "kraken" is not supported; there is: binance-futures',
        ),
        (["collect", "binance-futures:BTCUSDT", "--out", "x", "--ws", "ws://127.0.0.1:1"], 2, "--ws and --rest"),
        (["collect", "binance-futures:BTCUSDT", "--out", "x", "--tables", " ,"], 2, "it is empty: name at least one"),
        (["collect", "binance-futures:BTCUSDT", "--out", "x", "--tables", "candles"], 2, "there is: trades"),
        (["collect", "binance-futures:BTCUSDT", "--out", ""], 2, "it is empty: name a folder"),
        (["replay", "x", "--tables", ""], 2, "it is empty: name at least one"),
        (["replay", "x", "--out", ""], 2, "it is empty: name a folder"),
        (
            ["collect", "okx:BTC-USDT", "--out", "x", "--set", "book.heal_window_ms=soon"],
            2,
            "book.heal_window_ms: input should",
        ),
        (["collect", "okx:BTC-USDT", "--out", "x", "--set", "l2_top.depht=5"], 2, "l2_top.depht: there is no such key"),
        (["collect", "okx:BTC-USDT", "--out", "x", "--set", "batch=1", "--set", "batch.max_rows=1"], 2, "given twice"),
        (["replay", "x", "--set", "book.max_levels=0"], 2, "book.max_levels: input should be greater"),
        (["replay", "x", "--numeric", "fixed", "--set", "numeric=float"], 2, "--set numeric: it is given twice"),
        (["replay", "x", "--set", "book.max_levels"], 2, "--set takes KEY=VALUE"),
        (["simulate", "--symbols", "btc"], 2, '"btc" is no symbol'),
        (["simulate", "--exchange", "okex"], 2, "binance-spot"),
        (["simulate", "--config", "/nowhere.json"], 2, "/nowhere.json"),
        (["fly"], 2, "No such command"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing_behind(
    run: Any, here: Path, arguments: list[str], code: int, text: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    # Usage errors stand in a box that breaks lines.
    assert text in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert not list(here.iterdir())


def test_every_setting_can_be_given_by_its_path() -> None:
    more = [
        "l2_top.depth=5",
        "reference_interval_s=60",
        "arbitration.dwell_s=none",
        "endpoints.okx.ws=ws://[::1]:1/a=b",
    ]
    more += ["endpoints.okx.rest=http://[::1]:2", "batch.max_rows=10", "eager=true"]
    preferred = {"eager": False, "policy": "block", "batch": {"max_delay_ms": 250}, "tables": "l2"}
    values = options.settings({"subscriptions": ["okx:BTC-USDT"], "numeric": "fixed"}, more, preferred)
    config = xt.StreamConfig.checked(**values)
    assert (config.l2_top.depth, config.reference_interval_s, config.arbitration.dwell_s) == (5, 60, None)
    assert config.endpoints == {"okx": xt.Endpoints(ws="ws://[::1]:1/a=b", rest="http://[::1]:2")}
    # What a command prefers to the defaults gives way to what is asked for, and to nothing else.
    assert (config.eager, config.policy, config.tables) == (True, "block", ("l2",))
    assert (config.batch.max_rows, config.batch.max_delay_ms, config.numeric) == (10, 250, "fixed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.fault("C09")
def test_collect_ends_cleanly_when_told(
    xtrader_command: Path, simulator: xt.Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        collecting(xtrader_command, simulator, "--out", tmp_path, "--json", "--duration", 60),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while simulator.truth("summary")["frames"] < FRAMES:
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    report = json.loads(output)
    assert {table: rows for table, rows in report["rows"].items() if rows} == stored(tmp_path)
    assert list(report["rows"]) == ["trades", "l2", "gaps", "instruments", "connections"], (
        "those of the streams, also where empty"
    )


def test_a_collection_without_any_connection_has_failed(run: Any, here: Path) -> None:
    nobody = ["--ws", "ws://127.0.0.1:1", "--rest", "http://127.0.0.1:1", "--duration", 1]
    done = run("collect", "binance-futures:BTCUSDT", "--out", "x", "--json", *nobody)
    assert done.returncode == 1
    rows = json.loads(done.stdout)["rows"]
    assert {table for table, count in rows.items() if count} == {"connections"}, "the attempts, and why they failed"
    *warnings, error = done.stderr.splitlines()
    assert {text.partition(" was never up: ")[0] for text in warnings} == {
        f"xtrader: warning: ws://127.0.0.1:1/{half}/stream" for half in ("public", "market")
    }
    assert error.startswith("xtrader: error: no connection was ever up; REST: ")
    assert {path.relative_to(here).parts[1] for path in here.rglob("*.parquet")} == {"connections"}


class Broken:
    """A store that cannot complete its files."""

    def finish(self) -> list[dict[str, Any]]:
        raise xt.StoreError("no space left")


def test_of_two_errors_the_first_is_told() -> None:
    store = cast("xt._native.ParquetStore", Broken())
    with pytest.raises(xt.ReplayError, match="cut"), finishing(store):
        raise xt.ReplayError("the recording is cut")
    with pytest.raises(xt.StoreError, match="no space"), finishing(store):
        pass


def test_collect_goes_on_where_it_stopped(xtrader_command: Path, simulator: xt.Simulator, tmp_path: Path) -> None:
    command = collecting(xtrader_command, simulator, "--out", tmp_path, "--duration", 2, "--json")
    reports = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(2)]
    total = stored(tmp_path)
    assert reports[0]["rows"]["trades"] > 0
    for table, rows in total.items():
        assert rows == sum(report["rows"].get(table, 0) for report in reports)


def test_the_demo_names_what_it_forced_and_ends_with_equal_books(run: Any, tmp_path: Path) -> None:
    """The simulators say what is true; the demo rebuilds every book from its files."""
    done = run("demo", "--seconds", 4, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    markets = ("binance-futures", "binance-spot", "deribit", "okx-spot", "okx-swap")
    equal = Counter(line.split()[0] for line in lines if line.rstrip().endswith(" equal"))
    assert equal == dict(zip(markets, (2, 2, 3, 1, 2), strict=True))
    assert "DIFFERENT" not in done.stdout
    for market in markets:
        assert any(line.startswith(market) and " disconnect " in line for line in lines), market
        assert any(market in line and ("buy" in line or "sell" in line) for line in lines), market
    # A change was lost of the first book of each exchange alone.
    lost = {line.split()[0] for line in lines if " missed " in line and " chain " in line}
    assert lost == {"binance-futures", "binance-spot", "deribit", "okx-swap"}
    for word in ("p99.9", "frames/s", "BTCUSD-261225-100000-C"):
        assert word in done.stdout


def test_simulate_serves_and_records(run: Any, tmp_path: Path) -> None:
    what = ["--seed", 3, "--symbols", "BTCUSDT", "--seconds", 1]
    done = run("simulate", *what, "--record", tmp_path / "binance_usdm.jsonl", "--truth", tmp_path / "truth")
    assert done.returncode == 0, done.stderr
    addresses, recorded = map(json.loads, done.stdout.splitlines())
    assert addresses["ws"].startswith("ws://127.0.0.1:")
    assert recorded["lines"] > 0
    assert any((tmp_path / "truth").iterdir())
    report = json.loads(run("replay", tmp_path / "binance_usdm.jsonl", "--json").stdout)
    assert [book["symbol"] for book in report["books"]] == ["BTCUSDT"]


def test_simulate_plays_the_exchange_that_is_named(run: Any, tmp_path: Path) -> None:
    done = run("simulate", "--exchange", "binance-spot", "--seconds", 1, "--truth", tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert {event["family"] for event in events} == {"spot"}
