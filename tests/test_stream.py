"""Live streams from Python: waiting, awaiting, ending. What is in the rows is tested elsewhere."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

import xtrader as xt

BTC = "binance-futures:BTCUSDT"


@pytest.fixture
def idle() -> Iterator[xt.Simulator]:
    """An exchange where nothing happens."""
    with xt.Simulator(symbols=["BTCUSDT"]) as simulator:
        simulator.pause()
        yield simulator


def test_batches_come_while_one_iterates(simulator: xt.Simulator) -> None:
    wanted = {"trades", "l2", "bbo"}
    with xt.stream(BTC, "binance-futures:ETHUSDT", streams=sorted(wanted), endpoints=simulator.endpoints) as stream:
        for batch in stream:
            assert len(batch) > 0
            wanted.discard(batch.table)
            if not wanted:
                break
    for batch in stream:
        assert len(batch) > 0
    with pytest.raises(StopIteration):
        next(stream)


async def test_batches_come_while_one_awaits(simulator: xt.Simulator) -> None:
    wanted = {"trades", "l2"}
    async with xt.stream(BTC, endpoints=simulator.endpoints) as stream:
        async for batch in stream:
            wanted.discard(batch.table)
            if not wanted:
                break
    async for batch in stream:
        assert len(batch) > 0
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_that_is_closed_elsewhere_wakes_who_awaits_it(idle: xt.Simulator) -> None:
    stream = xt.stream(BTC, endpoints=idle.endpoints, tables="trades")
    waiting = asyncio.ensure_future(anext(stream))
    while not stream._awaited:
        await asyncio.sleep(0)
    await asyncio.to_thread(stream.close)
    with pytest.raises(StopAsyncIteration):
        await waiting


@pytest.mark.fault("C05")
async def test_one_task_at_a_time(idle: xt.Simulator) -> None:
    with xt.stream(BTC, endpoints=idle.endpoints, tables="trades") as stream:
        first = asyncio.ensure_future(anext(stream))
        while not stream._awaited:
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="awaited already"):
            await anext(stream)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        idle.resume()
        assert (await anext(stream)).table == "trades"


def test_a_timeout_is_no_end(idle: xt.Simulator) -> None:
    with xt.stream(BTC, endpoints=idle.endpoints, tables="trades") as stream:
        with pytest.raises(TimeoutError):
            stream.next(timeout=0.01)
        with pytest.raises(ValueError, match="timeout"):
            stream.next(timeout=-1)
        idle.resume()
        batch = stream.next(timeout=30)
        assert batch is not None
        assert batch.table == "trades"


def test_others_run_while_one_waits(idle: xt.Simulator) -> None:
    stream = xt.stream(BTC, endpoints=idle.endpoints, tables="trades")
    seen: list[xt.Batch | None] = []
    waiting = threading.Thread(target=lambda: seen.append(stream.next()))
    waiting.start()
    # Were the interpreter held by the one that waits, this would never be reached.
    stream.close()
    waiting.join()
    assert seen == [None]


def shards() -> int:
    """Threads of streams in this process."""
    names = (Path("/proc/self/task") / task / "comm" for task in os.listdir("/proc/self/task"))
    return sum(name.read_text().startswith("xtrader-shard") for name in names)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.fault("C05")
def test_letting_go_of_a_stream_frees_its_sockets_and_its_thread(simulator: xt.Simulator, closed: bool) -> None:
    threads = shards()
    # The first stream leaves what a process has once (the resolver, the shared accounts).
    for _ in range(2):
        before = descriptors()
        stream = xt.stream(BTC, endpoints=simulator.endpoints)
        next(stream)
        assert shards() == threads + 1
        if closed:
            stream.close()
            assert shards() == threads
        del stream
        gc.collect()
        assert shards() == threads
    # The simulator's ends of the sockets are in this process too, and go when it reads that ours are gone.
    simulator.stop()
    assert descriptors() <= before


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


WAITS = """
import asyncio, sys
import xtrader as xt

ws, rest, how = sys.argv[1:]
stream = xt.stream("binance-futures:BTCUSDT", endpoints={"ws": ws, "rest": rest}, tables="trades")

async def awaits():
    print("waiting", flush=True)
    await anext(stream)

if how == "sync":
    print("waiting", flush=True)
    next(stream)
else:
    asyncio.run(awaits())
"""


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.fault("C09")
def test_ctrl_c_works_at_once(idle: xt.Simulator, how: str) -> None:
    process = run(WAITS, idle.ws_url, idle.rest_url, how)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in errors


FORKS = """
import os, sys
import xtrader as xt

ws, rest = sys.argv[1:]
stream = xt.stream("binance-futures:BTCUSDT", endpoints={"ws": ws, "rest": rest})
next(stream)
child = os.fork()
if child == 0:
    outcomes = []
    for use in (lambda: next(stream), stream.close, stream.report, stream._native.poll):
        try:
            use()
            outcomes.append("used")
        except xt.ForkedError as error:
            outcomes.append(type(error).__name__)
    with stream:
        pass  # leaving the block is no use of it
    del stream
    print(*outcomes, flush=True)
    with xt.stream("binance-futures:BTCUSDT", endpoints={"ws": ws, "rest": rest}) as mine:
        print(len(next(mine)) > 0, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(next(stream)) > 0, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.fault("C08")
def test_a_fork_is_told_so_and_may_open_its_own(simulator: xt.Simulator) -> None:
    process = run(FORKS, simulator.ws_url, simulator.rest_url)
    output, errors = process.communicate(timeout=60)
    assert output.splitlines() == [" ".join(["ForkedError"] * 4), "True", "0 True"], errors


@pytest.mark.parametrize(
    ("subscription", "options", "text"),
    [
        ("binance-futures", {}, "has no colon; write EXCHANGE:SYMBOL"),
        ("kraken:BTCUSD", {}, 'exchange "kraken" is not supported; there is: binance-futures'),
        ("binance-futures:btcusdt", {}, 'symbol "btcusdt" .* upper case'),
        (BTC, {"streams": "trades,tickers"}, 'stream "tickers" is not offered .* there is: trades, l2, bbo'),
        (BTC, {"tables": ["candles"]}, 'table "candles" is unknown; there is: trades, l2, levels'),
        (BTC, {"policy": "hope"}, "policy: input should be 'block', 'drop_oldest' or 'drop_newest'"),
        (BTC, {"polcy": "block"}, "polcy: there is no such key"),
        (BTC, {"net": {"conect_ms": 1}}, "net.conect_ms: there is no such key"),
        (BTC, {"endpoints": {"ws": "ws://example.com", "rest": "https://example.com"}}, "use wss://"),
        ([], {}, "subscriptions is empty"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(
    subscription: str | list[str], options: dict[str, object], text: str
) -> None:
    with pytest.raises(xt.ConfigError, match=text):
        xt.stream(subscription, **options)  # type: ignore[arg-type]


def test_a_report_tells_of_every_stage(simulator: xt.Simulator) -> None:
    with xt.stream(BTC, endpoints=simulator.endpoints) as stream:
        next(stream)
        assert {"counters", "books", "connections", "rest", "queue"} <= stream.report().keys()
    assert stream.report()["counters"]["frames"]["total"] > 0


EXITS = """
import sys, threading
import xtrader as xt

ws, rest, how = sys.argv[1:]
stream = xt.stream("binance-futures:BTCUSDT", endpoints={"ws": ws, "rest": rest})
if how == "while a thread waits":
    threading.Thread(target=lambda: list(stream), daemon=True).start()
else:
    next(stream)
"""


@pytest.mark.parametrize("how", ["with an open stream", "while a thread waits"])
def test_a_program_may_simply_end(simulator: xt.Simulator, how: str) -> None:
    process = run(EXITS, simulator.ws_url, simulator.rest_url, how)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


# ---- several exchanges, and their logins

CANARY = "canary-9c04"


def account(exchange: str, symbol: str) -> xt.Simulator:
    """A simulated exchange where the canary may log in."""
    holder = {"key": CANARY, "secret": CANARY, "passphrase": CANARY, "tier": 9}
    return xt.Simulator(exchange=exchange, symbols=[symbol], book_levels=100, accounts=[holder])


def test_one_iterator_serves_several_exchanges(simulator: xt.Simulator) -> None:
    with xt.Simulator(exchange="okx", symbols=["BTC-USDT-SWAP"]) as okx:
        endpoints = {"binance-futures": simulator.endpoints, "okx-swap": okx.endpoints}
        wanted = {(0, "binance-futures"), (1, "okx-swap")}
        with xt.stream(BTC, "okx-swap:kind=perpetual,quote=USDT", tables="trades", endpoints=endpoints) as stream:
            for batch in stream:
                rows = batch.to_polars().select("shard", "exchange", "symbol").cast({"exchange": str})
                assert set(rows["symbol"]) == {"BTCUSDT"}
                wanted -= set(rows.select("shard", "exchange").rows())
                if not wanted:
                    break
            shards = [(shard["shard"], shard["exchange"]) for shard in stream.report()["shards"]]
    assert shards == [(0, "binance-futures"), (1, "okx")]


def test_a_stream_that_one_of_several_does_not_offer_is_left_out_with_a_warning(simulator: xt.Simulator) -> None:
    with xt.Simulator(exchange="binance-spot", symbols=["BTCUSDT"]) as spot:
        endpoints = {"binance-futures": simulator.endpoints, "binance-spot": spot.endpoints}
        with pytest.warns(xt.XTraderWarning, match="derivatives.* is left out for binance-spot"):
            stream = xt.stream(BTC, "binance-spot:BTCUSDT", streams="trades,derivatives", endpoints=endpoints)
        with stream:
            assert [shard["streams"] for shard in stream.report()["shards"]] == [["trades", "derivatives"], ["trades"]]


def test_deribit_without_a_login_says_what_is_lost() -> None:
    with xt.Simulator(exchange="deribit", symbols=["BTC-PERPETUAL"], book_levels=100) as deribit:
        with pytest.warns(xt.XTraderWarning, match="changed back within 100 ms is never seen"):
            xt.stream("deribit:BTC-PERPETUAL", endpoints=deribit.endpoints).close()
        xt.stream("deribit:BTC-PERPETUAL", depth_speed="100ms", endpoints=deribit.endpoints).close()


def exchange_of_next(stream: xt.Stream) -> object:
    batch = stream.next(timeout=10)
    assert batch is not None
    return batch.to_polars()["exchange"][0]


@pytest.fixture
def refused(simulator: xt.Simulator) -> Iterator[xt.Stream]:
    """A stream of two exchanges, of which one has just come to refuse all that was asked of it."""
    with xt.Simulator(exchange="deribit", symbols=["BTC-PERPETUAL"], book_levels=100) as deribit:
        endpoints = {"binance-futures": simulator.endpoints, "deribit": deribit.endpoints}
        stream = xt.stream(
            BTC, "deribit:BTC-PERPETUAL", streams="trades", tables="trades", depth_speed="100ms", endpoints=endpoints
        )
        with stream:
            while exchange_of_next(stream) != "deribit":
                pass
            deribit.inject("delist", target={"symbol": "BTC-PERPETUAL"})
            deribit.inject("disconnect")
            yield stream


def read(stream: xt.Stream) -> None:
    while stream.next(timeout=10) is not None:
        pass


@pytest.mark.fault("X17")
def test_a_refusal_while_it_runs_is_a_warning_and_the_other_exchange_goes_on(refused: xt.Stream) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        while not told:
            assert refused.next(timeout=10) is not None
    assert told[0].category is xt.XTraderWarning
    assert "deribit refuses trades.BTC-PERPETUAL" in str(told[0].message)
    assert told[0].filename == __file__
    for _ in range(20):
        assert exchange_of_next(refused) == "binance-futures"


async def test_who_awaits_is_warned_too(refused: xt.Stream) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async for _ in refused:
            if told:
                break
    assert "deribit refuses" in str(told[0].message)


def test_a_warning_that_is_an_error_costs_no_batch(refused: xt.Stream) -> None:
    with pytest.raises(xt.XTraderWarning, match="everything else goes on"):
        read(refused)
    assert refused.next(timeout=10) is not None


@pytest.mark.fault("G08")
@pytest.mark.parametrize(("missing", "given"), [("SECRET", {"KEY": CANARY}), ("KEY", {"KEY": "", "SECRET": CANARY})])
def test_a_login_without_its_variable_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, missing: str, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"DERIBIT_{name}", value)
    with pytest.raises(xt.ConfigError, match=f"DERIBIT_{missing} is (missing|empty)") as refused:
        xt.stream("deribit:BTC-PERPETUAL", login={"env": "DERIBIT"})
    assert CANARY not in f"{refused.value!r}"


@pytest.mark.parametrize(
    ("subscriptions", "options", "text"),
    [
        ([BTC], {"login": {"env": "X"}}, "binance-futures has none"),
        ([BTC, "okx:BTC-USDT"], {"login": {"env": "X"}}, "login is that of one exchange"),
        ([BTC, "okx:BTC-USDT"], {"login": {"deribit": {"env": "X"}}}, "login names deribit, and no subscription does"),
        (["okx:BTC-USDT"], {"depth_speed": "10ms"}, "depth_speed = 10ms takes a login at okx"),
        (["okx:BTC-USDT"], {"depth_speed": "raw"}, "depth_speed = raw is not offered by okx; there is: auto, 100ms"),
        ([BTC, "binance-spot:BTCUSDT"], {"streams": "options"}, "offered by none of binance-futures, binance-spot"),
    ],
)
def test_what_one_exchange_cannot_do_is_refused_with_the_remedy(
    subscriptions: list[str], options: dict[str, object], text: str
) -> None:
    with pytest.raises(xt.ConfigError, match=text):
        xt.stream(subscriptions, **options)  # type: ignore[arg-type]


@pytest.mark.fault("Z05")
@pytest.mark.parametrize(("exchange", "symbol"), [("deribit", "BTC-PERPETUAL"), ("okx", "BTC-USDT-SWAP")])
@pytest.mark.parametrize("secret", [CANARY, f"{CANARY}-wrong"])
def test_no_output_of_a_collection_holds_a_secret(
    xtrader_command: Path, tmp_path: Path, exchange: str, symbol: str, secret: str
) -> None:
    out = tmp_path / "out"
    with account(exchange, symbol) as simulated:
        command = [
            str(xtrader_command), "collect", f"{exchange}:{symbol}", "--out", str(out),
            "--tables", "trades,l2,gaps,raw",
            "--ws", f"{exchange}={simulated.ws_url}", "--rest", f"{exchange}={simulated.rest_url}",
            "--login", f"{exchange}=env:CANARY", "--duration", "2", "--json",
        ]  # fmt: skip
        variables = {"CANARY_KEY": CANARY, "CANARY_SECRET": secret, "CANARY_PASSPHRASE": CANARY}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
        )
    assert (done.returncode, "refused" in done.stderr) == ((0, False) if secret == CANARY else (2, True)), done.stderr
    assert CANARY not in done.stdout + done.stderr
    parts = sorted(out.rglob("*.parquet"))
    assert any("raw" in part.parts for part in parts)
    for part in parts:
        frame = pl.read_parquet(part)
        if "payload" in frame.columns:
            payloads = [bytes(payload) for payload in frame["payload"].drop_nulls()]
            assert not any(CANARY.encode() in payload for payload in payloads)
            tokens = [payload.split(b'"access_token":"')[1] for payload in payloads if b'"access_token":"' in payload]
            assert all(token.startswith(b"*") for token in tokens)
        assert CANARY not in str(frame.drop("payload", strict=False).to_dicts())


def test_who_stamps_stands_in_the_report(simulator: xt.Simulator) -> None:
    with xt.stream(BTC, endpoints=simulator.endpoints, net={"timestamps": "kernel"}) as stream:
        stream.next(timeout=20)
        for connection in stream.report()["connections"]:
            assert connection["stamp_source"] in {"kernel", "user"}
            assert connection["stamps_refused"] == 0


def test_an_address_that_this_machine_has_not_is_refused(idle: xt.Simulator) -> None:
    with pytest.raises(xt.ConfigError, match=r"net.local_addresses: no connection can leave by 192\.0\.2\.7"):
        xt.stream(BTC, endpoints=idle.endpoints, net={"local_addresses": "127.0.0.1, 192.0.2.7"})


def test_changes_that_cannot_be_are_refused_with_the_remedy(idle: xt.Simulator) -> None:
    with xt.stream(BTC, endpoints=idle.endpoints) as stream:
        refused: list[tuple[Callable[[], None], str]] = [
            (lambda: stream.add("okx-swap:ETHUSDT"), "serves binance-futures and not okx; open another stream"),
            (lambda: stream.remove("okx-swap:ETHUSDT"), "serves binance-futures and not okx"),
            (lambda: stream.add("binance-futures:ETHUSDT", ["kraken:ETHUSDT"]), "binance-futures.*okx-swap"),
            (lambda: stream.add("ETHUSDT"), "EXCHANGE:SYMBOL"),
            (stream.add, "name at least one"),
            (lambda: stream.set_connections(0), "connections: input should be greater than or equal to 1"),
            (lambda: stream.set_connections(17), "connections: input should be less than or equal to 16"),
        ]
        for change, text in refused:
            with pytest.raises(xt.ConfigError, match=text):
                change()
        assert stream.config.subscriptions == (BTC,)
    with pytest.raises(xt.StreamError, match="it has ended"):
        stream.set_connections(2)
