"""What arbitration costs, each figure beside its yardstick in the same run.

Losing copies beside winning ones and `orjson.loads` of the same frames, the throughput with three connections beside
that with one, and the arbiters' memories beside the `lru` crate and plain hash sets.

    .venv/bin/python benches/arbitration.py [--json] [--rounds N] [--core N] [--events N] [CAPTURE…]

A binary that `make build` leaves measures everything but `orjson.loads`. Both are pinned to one core and take the best
of N rounds. Without captures it takes those of every exchange that lie beside the repository; what these do not hold,
generated frames stand in for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pipeline import BenchError, captures, check_core, parser_of

ROOT = Path(__file__).parent.parent
BINARY = ROOT / "target" / "bench" / "arbitration"


# Frames that are timed together, and bytes of them if there are several: as in the binary.
BLOCK = 64
BLOCK_BYTES = 1 << 17


def blocks(texts: list[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as stay in the innermost caches."""
    block: list[bytes] = []
    size = 0
    for text in texts:
        if block and (len(block) == BLOCK or size + len(text) > BLOCK_BYTES):
            yield block
            block, size = [], 0
        block.append(text)
        size += len(text)
    if block:
        yield block


def orjson_loads(texts: list[bytes], rounds: int) -> float:
    """Nanoseconds per frame: of every block the best of `rounds`, as in the binary."""
    loads = orjson.loads
    spent = 0
    for block in blocks(texts):
        best = None
        for _ in range(rounds):
            begin = time.perf_counter_ns()
            for text in block:
                loads(text)
            took = time.perf_counter_ns() - begin
            best = took if best is None else min(best, took)
        spent += best or 0
    return round(spent / max(len(texts), 1), 1)


def native(work: str, *arguments: str) -> dict[str, Any]:
    """What the binary says."""
    command = [str(BINARY), work, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own binary
    if run.returncode != 0:
        raise BenchError(f"{BINARY.name} {work} failed: {run.stderr.strip()}")
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def copies(paths: list[str], rounds: int) -> dict[str, Any]:
    """Kinds of frames, each with `orjson_loads` of the frames that were timed."""
    with tempfile.TemporaryDirectory() as folder:
        told = native("copies", "--rounds", str(rounds), "--frames", folder, *paths)
        for kind in told["copies"]:
            texts = Path(kind.pop("file")).read_bytes().split(b"\n")[:-1]
            if len(texts) != kind["frames"]:
                raise BenchError(f"{kind['source']}: {kind['frames']} frames were timed there and {len(texts)} here")
            kind["orjson_loads"] = orjson_loads(texts, rounds)
    return told


def measure(paths: list[str], rounds: int, events: int) -> dict[str, Any]:
    """Everything; this process is pinned already, and so is what it starts."""
    return copies(paths, rounds) | native("dedup", "--rounds", str(rounds), "--keys", str(events))


def table(results: dict[str, Any]) -> str:
    """The results for people."""
    lines = [f"{'a losing copy, ns':<54}{'frames':>8}{'peek':>7}{'losing':>8}{'of winning':>12}{'of orjson':>11}"]
    for kind in results["copies"]:
        losing = float(kind["losing"])
        of_winning, of_orjson = losing / (float(kind["winning"]) or 1.0), losing / (float(kind["orjson_loads"]) or 1.0)
        name = f"{kind['source']}, {kind['kind']}"
        lines.append(
            f"{name:<54}{kind['frames']:>8,}{kind['peek']:>7,.0f}{losing:>8,.0f}{of_winning:>12.3f}{of_orjson:>11.3f}"
        )
    lines += ["", f"{'an event that makes rows, ns':<54}{'one':>8}{'three':>8}{'throughput':>12}"]
    for source in results["throughput"]:
        one, three = float(source["one"]), float(source["three"])
        lines.append(f"{source['source']:<54}{one:>8,.0f}{three:>8,.0f}{one / (three or 1.0):>12.2f}")
    for block in results["dedup"]:
        title = f"{block['keys']}, capacity {block['capacity']:,}, {block['events']:,} events thrice"
        lines += ["", f"{title:<70}{'ns a key':>9}{'MB':>8}"]
        of = {memory["name"]: float(memory["ns_per_key"]) for memory in block["memories"]}
        for memory in block["memories"]:
            ratio = f" ({of[memory['name']] / (of['lru'] or 1.0):.2f} of lru)"
            name = f"  {memory['name']}{ratio}"
            lines.append(f"{name:<70}{memory['ns_per_key']:>9.1f}{memory['bytes'] / 1e6:>8.1f}")
    return "\n".join(lines)


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = parser_of("arbitration.py", "Time per losing copy, beside orjson.loads.")
    parser.add_argument("--events", type=int, default=1 << 21, help="events whose keys are remembered (default 2^21)")
    arguments = parser.parse_args(given)
    if arguments.rounds < 1 or arguments.events < 1:
        parser.error("--rounds and --events: at least 1")
    check_core(parser, arguments.core)
    arguments.captures = arguments.captures or captures()
    return arguments


def main(given: list[str]) -> None:
    """Measures and prints."""
    arguments = _arguments(given)
    if not BINARY.exists():
        raise SystemExit(f"arbitration: {BINARY} is not there; run `make build`")
    os.sched_setaffinity(0, {arguments.core})
    try:
        results = measure(arguments.captures, arguments.rounds, arguments.events)
    except BenchError as error:
        raise SystemExit(f"arbitration: {error}") from error
    print(json.dumps(results, indent=2) if arguments.json else table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
