"""Frames per second and latency over loopback: the simulator's socket write until Python holds the row.

    .venv/bin/python benches/loopback.py [--json] [--seconds S] [--rate N]

The same best quotes at the same pace for each client in turn: `xt.stream`, parked and spinning, and plain asyncio
clients on `websockets` and `picows` that do nothing but `orjson.loads`. Latency runs from right before the write of a
frame until the client's code has it: the batch that holds its row, or the parsed message. The simulator runs on native
threads of this process, so it shares the cores, and takes no part in the interpreter's lock.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from websockets.asyncio.client import connect

import xtrader as xt

SYMBOL = "BTCUSDT"
PATH = f"/public/stream?streams={SYMBOL.lower()}@bookTicker"
# Begun connections, filled caches and a grown receive buffer are no part of what is measured.
WARM_UP_S = 1.0
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999}

# What a client took: when, and the number of each frame.
Taken = list[tuple[int, int]]
Client = Callable[[xt.Simulator, float], Taken]


def _xtrader(*, spin: bool) -> Client:
    def take(simulator: xt.Simulator, seconds: float) -> Taken:
        held: list[tuple[int, xt.Batch]] = []
        options: dict[str, Any] = {"spin": spin, "force": spin}
        subscription = f"binance-futures:{SYMBOL}"
        with xt.stream(
            subscription, streams=["bbo"], tables=["bbo"], policy="block", endpoints=simulator.endpoints, **options
        ) as stream:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                batch = stream.next(timeout=30)
                if batch is None:
                    break
                held.append((time.time_ns(), batch))
        # What is in the batches is looked up afterwards: it was there when they were.
        return [(at, number) for at, batch in held for number in batch.to_pyarrow().column("update_id").to_pylist()]

    return take


def _websockets(simulator: xt.Simulator, seconds: float) -> Taken:
    async def run() -> Taken:
        taken: Taken = []
        async with connect(simulator.ws_url + PATH, compression=None) as socket:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                message = orjson.loads(await socket.recv(decode=False))
                taken.append((time.time_ns(), message["data"]["u"]))
            # It need not say goodbye through what is still waiting.
            socket.transport.abort()
        return taken

    return asyncio.run(run())


class _Listener(WSListener):
    def __init__(self, seconds: float) -> None:
        self.taken: Taken = []
        self._end = time.perf_counter() + seconds

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_memoryview())
            self.taken.append((time.time_ns(), message["data"]["u"]))
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        if time.perf_counter() >= self._end:
            transport.disconnect(graceful=False)


def _picows(simulator: xt.Simulator, seconds: float) -> Taken:
    async def run() -> Taken:
        listener = _Listener(seconds)
        transport, _ = await ws_connect(lambda: listener, simulator.ws_url + PATH)
        await transport.wait_disconnected()
        return listener.taken

    return asyncio.run(run())


CLIENTS: dict[str, Client] = {
    "xtrader, parked": _xtrader(spin=False),
    "xtrader, spinning": _xtrader(spin=True),
    "websockets + orjson": _websockets,
    "picows + orjson": _picows,
}


def run(client: Client, rate: int, seconds: float) -> tuple[Taken, list[int]]:
    """One client against a simulator of its own: what it took, and when frame `i` was written."""
    stamps = int(rate * (seconds + 30)) if rate else 0
    load = {"kind": "book_ticker", "frames_per_s": rate, "stamps": stamps}
    with xt.Simulator(symbols=[SYMBOL], load=load) as simulator:
        gc.collect()
        gc.disable()
        try:
            taken = client(simulator, seconds + WARM_UP_S)
        finally:
            gc.enable()
        [report] = [report for report in simulator.load_reports() if report["sent"]]
    first = report["first_id"]
    return [(at, number - first) for at, number in taken], report["write_ns"]


def quantile(ordered: list[float], q: float) -> float:
    """The smallest value that at least `q` of all do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -int(-q * len(ordered) // 1) - 1))]


def latency(client: Client, rate: int, seconds: float) -> dict[str, Any]:
    """Microseconds from write to hand, by quantile."""
    taken, written = run(client, rate, seconds)
    begin = taken[0][0] + WARM_UP_S * 1e9
    micros = sorted((at - written[n]) / 1e3 for at, n in taken if at >= begin and n < len(written))
    if not micros:
        raise SystemExit("loopback: no frame came after the warm-up; give it more --seconds")
    return {"frames": len(micros), **{name: round(quantile(micros, q), 1) for name, q in QUANTILES.items()}}


def throughput(client: Client, seconds: float) -> int:
    """Frames per second where the simulator writes as much as the socket takes."""
    taken, _ = run(client, 0, seconds)
    begin = taken[0][0] + WARM_UP_S * 1e9
    times = [at for at, _ in taken if at >= begin]
    return round((len(times) - 1) / (times[-1] - times[0]) * 1e9) if len(times) > 1 else 0


def table(results: dict[str, Any]) -> str:
    """The results for people."""
    lines = [
        f"best quotes over loopback, {results['cores']} cores; latency in µs at {results['rate']:,} frames/s",
        f"{'client':<22}{'frames/s':>12}{'p50':>10}{'p99':>10}{'p99.9':>10}",
    ]
    lines += [
        f"{c['client']:<22}{c['frames_per_s']:>12,}" + "".join(f"{c['latency_us'][q]:>10,.0f}" for q in QUANTILES)
        for c in results["clients"]
    ]
    if results["forced"]:
        lines.append("Spinning was forced: with fewer than 4 cores it takes one away from everybody else.")
    return "\n".join(lines)


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loopback.py", description="Throughput and latency over loopback.")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds per client and figure (default 5)")
    parser.add_argument("--rate", type=int, default=10_000, help="frames per second of the latency test")
    arguments = parser.parse_args(given)
    if arguments.seconds <= 0 or arguments.rate < 1:
        parser.error("--seconds and --rate: more than 0")
    return arguments


def main(given: list[str]) -> None:
    """Measures and prints."""
    arguments = _arguments(given)
    cores = os.cpu_count() or 1
    results: dict[str, Any] = {"rate": arguments.rate, "cores": cores, "forced": cores < 4, "clients": []}  # noqa: PLR2004
    for number, (name, client) in enumerate(CLIENTS.items(), 1):
        if not arguments.json:
            print(f"[{number}/{len(CLIENTS)}] {name}", file=sys.stderr, flush=True)
        results["clients"].append(
            {
                "client": name,
                "frames_per_s": throughput(client, arguments.seconds),
                "latency_us": latency(client, arguments.rate, arguments.seconds),
            }
        )
    print(json.dumps(results, indent=2) if arguments.json else table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
