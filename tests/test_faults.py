"""Consumers that fail, go away or hold on, and peers that cut: `docs/reliability.md` says what must be true."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import xtrader as xt

BTC = "binance-futures:BTCUSDT"
# Seconds until something that must happen counts as never happening.
PATIENCE = 60

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


class OwnError(Exception):
    """The consumer's own."""


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check_nothing_leaked(before: tuple[int, int]) -> None:
    """A few more are what a pool or a connection on its way may have; a leak would have hundreds."""
    assert descriptors() < before[0] + 30
    assert threads() < before[1] + 30


def until(what: str, true: Callable[[], bool]) -> None:
    """Waits for what must come by itself."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def table(batches: list[xt.Batch], name: str) -> pl.DataFrame:
    """All rows of a table."""
    frames = [batch.to_polars() for batch in batches if batch.table == name]
    return pl.concat(frames) if frames else pl.DataFrame()


def check_nothing_is_missing(batches: list[xt.Batch]) -> None:
    """Ids of trades count up by one, books chain, and no gap is told."""
    ids = table(batches, "trades")["trade_id"].cast(pl.Int64).to_list()
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    books = table(batches, "l2")
    assert books["prev_id"].to_list()[1:] == books["last_id"].to_list()[:-1]
    assert table(batches, "gaps").is_empty()


@pytest.mark.fault("C04")
def test_an_error_in_the_loop_is_the_consumers_and_the_stream_can_be_read_on(simulator: xt.Simulator) -> None:
    seen: list[xt.Batch] = []

    def fails(stream: xt.Stream) -> None:
        for batch in stream:
            seen.append(batch)
            raise OwnError("mine")

    with xt.stream(BTC, endpoints=simulator.endpoints) as stream:
        for _ in range(20):
            with pytest.raises(OwnError, match="mine"):
                fails(stream)
        assert len(seen) == 20
        for batch in stream:
            seen.append(batch)
            if len(table(seen, "trades")) > 20 and len(table(seen, "l2")) > 20:
                break
        assert stream.report()["queue"]["dropped_batches"] == 0
    check_nothing_is_missing(seen)


@pytest.mark.fault("C04")
async def test_an_error_in_a_task_leaves_the_stream_to_the_next_task(simulator: xt.Simulator) -> None:
    seen: list[xt.Batch] = []

    async def fails(stream: xt.Stream) -> None:
        async for batch in stream:
            seen.append(batch)
            raise OwnError("mine")

    async with xt.stream(BTC, endpoints=simulator.endpoints) as stream:
        for _ in range(20):
            with pytest.raises(OwnError, match="mine"):
                await asyncio.create_task(fails(stream))
        async for batch in stream:
            seen.append(batch)
            if len(table(seen, "trades")) > 20 and len(table(seen, "l2")) > 20:
                break
    check_nothing_is_missing(seen)


@pytest.mark.fault("C04")
def test_an_error_that_leaves_the_block_closes_the_stream_and_is_the_one_seen(simulator: xt.Simulator) -> None:
    opened: list[xt.Stream] = []

    def fails() -> None:
        with xt.stream(BTC, endpoints=simulator.endpoints) as stream:
            opened.append(stream)
            next(stream)
            raise OwnError("mine")

    with pytest.raises(OwnError, match="mine"):
        fails()
    rest = list(opened[0])
    assert all(len(batch) > 0 for batch in rest), "what was ready can be taken, and then it ends"


# The code that a process ends with, and how it comes to its end.
ENDS = {
    "falling off the end": (0, "next(stream)"),
    "sys.exit in the loop": (3, "for batch in stream: sys.exit(3)"),
    "an error in the loop": (1, "for batch in stream: raise SystemError('mine')"),
    "a cycle that holds it": (0, "cycle = [stream]; cycle.append(cycle); next(stream); del stream"),
    "sys.exit in a coroutine": (
        3,
        """
async def main():
    async for batch in stream: sys.exit(3)
asyncio.run(main())
""",
    ),
    "a loop that ends while a task waits": (
        0,
        """
async def main():
    task = asyncio.create_task(anext(mute))
    while not mute._awaited:
        await asyncio.sleep(0)
asyncio.run(main())
""",
    ),
    "a daemon thread that waits": (
        0,
        """
def waits():
    inside.set()
    for batch in mute: pass
inside = threading.Event()
threading.Thread(target=waits, daemon=True).start()
inside.wait()
""",
    ),
    "a daemon thread that reads": (
        0,
        """
def reads():
    for batch in stream: inside.set()
inside = threading.Event()
threading.Thread(target=reads, daemon=True).start()
inside.wait()
""",
    ),
}

PREAMBLE = """
import asyncio, sys, threading
import xtrader as xt

ws, rest, quiet = sys.argv[1:]
stream = xt.stream("binance-futures:BTCUSDT", endpoints={"ws": ws, "rest": rest})
mute = xt.stream("binance-futures:BTCUSDT", endpoints={"ws": quiet, "rest": rest}, tables="trades")
"""


@pytest.mark.fault("C09")
@pytest.mark.parametrize("how", ENDS)
def test_a_process_ends_at_once_and_cleanly(simulator: xt.Simulator, how: str) -> None:
    code, script = ENDS[how]
    with xt.Simulator(symbols=["BTCUSDT"]) as idle:
        idle.pause()
        command = [sys.executable, "-W", "error", "-c", PREAMBLE + script]
        command += [simulator.ws_url, simulator.rest_url, idle.ws_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == code, done.stderr
    if code == 1:
        assert done.stderr.endswith("SystemError: mine\n"), done.stderr
    else:
        assert (done.stdout, done.stderr) == ("", "")


@needs_proc
@pytest.mark.fault("C05")
@pytest.mark.parametrize("times", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_abandoned_iterators_leave_nothing(recording: Path, times: int) -> None:
    def abandon(times: int) -> int:
        """Bytes of batches that were let go of half way."""
        size = 0
        for _ in range(times):
            replay = iter(xt.replay(recording, tables="trades", batch={"max_rows": 1}))
            size += next(replay).nbytes
        return size

    abandon(200)
    gc.collect()
    before = (descriptors(), threads())
    memory = resident()
    abandoned = abandon(times)
    gc.collect()
    check_nothing_leaked(before)
    assert resident() - memory < min(abandoned / 4, 32 << 20)


@needs_proc
@pytest.mark.fault("C05")
def test_two_hundred_abandoned_streams_leave_no_socket_and_no_thread(simulator: xt.Simulator) -> None:
    def abandon(i: int) -> None:
        net = xt.NetLimits(connects_per_5min=100_000, close_ms=0)
        stream = xt.stream(BTC, endpoints=simulator.endpoints, streams="trades", tables="trades", net=net)
        # Some while they dial, some with batches that nobody took.
        if i % 2:
            next(stream)

    abandon(1)
    gc.collect()
    # Both ends of every socket are in this process, and the simulator's goes when it reads that ours has gone.
    until("the simulator lets go", lambda: all(c["closed_ns"] for c in simulator.truth("connections")))
    before = (descriptors(), threads())
    for i in range(200):
        abandon(i)
    gc.collect()
    until("the simulator lets go", lambda: all(c["closed_ns"] for c in simulator.truth("connections")))
    check_nothing_leaked(before)


@needs_proc
@pytest.mark.fault("C05")
async def test_ten_thousand_cancelled_tasks_leave_the_stream_as_it_was() -> None:
    with xt.Simulator(symbols=["BTCUSDT"]) as idle:
        idle.pause()
        async with xt.stream(BTC, endpoints=idle.endpoints, tables=["trades", "gaps"]) as stream:

            async def cancel() -> None:
                waiting = asyncio.ensure_future(anext(stream))
                while not stream._awaited:
                    await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting

            before = (descriptors(), threads())
            for _ in range(10_000):
                await cancel()
            check_nothing_leaked(before)
            idle.resume()
            assert (await anext(stream)).table == "trades"


@pytest.mark.fault("C11")
def test_frames_and_tables_outlive_stream_batch_and_exchange(recording: Path) -> None:
    def copied(record: pa.RecordBatch) -> bytes:
        """The rows in memory of their own, dictionaries included."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, record.schema) as writer:
            writer.write_batch(record)
        return bytes(sink.getvalue())

    kept: list[tuple[pl.DataFrame, pa.RecordBatch, str, bytes]] = []
    with xt.Simulator(seed=3, symbols=["BTCUSDT"]) as simulator:
        stream = xt.stream(BTC, endpoints=simulator.endpoints)
        wanted = {"trades", "l2", "instruments"}
        while wanted:
            batch = next(stream)
            wanted.discard(batch.table)
            frame, record = batch.to_polars(), batch.to_pyarrow()
            kept.append((frame, record, frame.write_json(), copied(record)))
            del batch, frame, record
        stream.close()
        del stream
    gc.collect()
    # Whatever was freed by mistake is written over.
    for _ in range(20):
        list(xt.replay(recording, tables=["trades", "l2", "levels"]))
    for frame, record, frame_then, record_then in kept:
        record.validate(full=True)
        assert copied(record) == record_then
        assert frame.write_json() == frame_then


@pytest.mark.fault("N01", "N03")
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_stream_that_is_cut_without_a_close_tells_it_and_comes_back(simulator: xt.Simulator, how: str) -> None:
    deadlines = {"backoff_base_ms": 1, "backoff_cap_ms": 1}
    seen: list[xt.Batch] = []
    # What REST would tell of it stays lost.
    lost = xt.Arbitration(recover_trades=0)
    with xt.stream(
        BTC, endpoints=simulator.endpoints, streams="trades", deadlines=deadlines, arbitration=lost
    ) as stream:
        while len(table(seen, "trades")) < 5:
            seen.append(next(stream))
        fault = simulator.inject("disconnect", how=how, at_byte=40)
        while len(table(seen, "gaps")) < 2:
            batch = stream.next(timeout=PATIENCE)
            assert batch is not None, "cut is not finished"
            seen.append(batch)
        assert simulator.fault_fired(fault) == 1
    gaps = table(seen, "gaps")
    assert gaps["cause"].cast(pl.String).to_list() == ["disconnect", "disconnect"]
    assert gaps["gap_id"].n_unique() == 1
    missing = gaps["missing"].to_list()[1]
    ids = table(seen, "trades")["trade_id"].cast(pl.Int64).to_list()
    assert len(ids) + missing == ids[-1] - ids[0] + 1, "what is not there is what the gap says"


@needs_proc
@pytest.mark.fault("N13")
def test_a_peer_that_accepts_and_cuts_costs_no_descriptor_and_no_memory(simulator: xt.Simulator) -> None:
    deadlines = {"backoff_base_ms": 1, "backoff_cap_ms": 1}
    net = xt.NetLimits(connects_per_5min=100_000)
    fault = simulator.inject("accept_then_close", when={"times": 0})
    with xt.stream(BTC, endpoints=simulator.endpoints, streams="trades", deadlines=deadlines, net=net) as stream:

        def read_until_tried(times: int) -> None:
            # What nobody reads is kept for whoever may: rows of connections that end are data, too.
            while simulator.fault_fired(fault) <= times:
                with suppress(TimeoutError):
                    stream.next(timeout=0.01)

        read_until_tried(100)
        before, memory, tried = descriptors(), resident(), simulator.fault_fired(fault)
        # More attempts than the exchange's cap allows in an hour.
        read_until_tried(tried + 5_000)
        # The attempt under way may have both its ends here.
        assert descriptors() <= before + 4
        assert resident() - memory < 16 << 20
        simulator.clear_faults(fault)
        batch = stream.next(timeout=PATIENCE)
        while batch is not None and batch.table != "trades":
            batch = stream.next(timeout=PATIENCE)
        assert batch is not None
