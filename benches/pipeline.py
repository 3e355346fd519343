"""Nanoseconds and allocations per frame by stage, with `orjson.loads` of the same frames in the same run.

    .venv/bin/python benches/pipeline.py [--json] [--rounds N] [--core N] [CAPTURE…]

The Rust stages are measured by a binary that `make build` leaves. Both sides are pinned to one core, time the second
half of a capture's frames (with the first, books are opened and buffers grow) and take the best of N rounds. Stages are
cumulative; `columns` is what a row of trades, l2 and bbo costs from text to Arrow, `columns_states` the same with
derivatives, options and liquidations beside. The two figures called `whole` are of all frames: they begin with an
engine that knows nothing and end with batches that are closed. Without captures it takes those of every exchange that
lie beside the repository.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parent.parent
BINARY = ROOT / "target" / "bench" / "pipeline"
CAPTURES = ROOT.parent / "shared" / "captures"
EXCHANGES = ("binance", "binance_usdm", "okx", "deribit")

STAGES = ("orjson_loads", "simd_json_tape", "peek", "decode", "book", "columns", "columns_states")
WHOLE = ("frames_whole", "orjson_loads_whole", "columns_whole")
ALLOCATIONS = ("allocations_per_frame", "allocations_per_batch", "allocations_per_first")


class BenchError(Exception):
    """Something is missing; the text says what to do."""


def captures() -> list[str]:
    """Those of every exchange: the sessions that hold frames, not the collections of single ones."""
    found = [path for exchange in EXCHANGES for path in sorted((CAPTURES / exchange).glob("*.jsonl*"))]
    sessions = [path for path in found if not path.name.split(".")[0].endswith("_frames")]
    return [os.path.relpath(path) for path in sessions if next(_frames(path), None) is not None]


def frames(path: Path) -> list[bytes]:
    """The frames of a capture as they came."""
    try:
        return list(_frames(path))
    except (OSError, EOFError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: this is no capture that can be read: {error!r}") from error


def _frames(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for text in lines:
            line = orjson.loads(text)
            if line["dir"] == "in":
                yield line["frame"].encode()


def orjson_loads(texts: list[bytes], rounds: int) -> float:
    """Nanoseconds per frame: the best of `rounds`."""
    loads = orjson.loads
    best = None
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        for text in texts:
            loads(text)
        spent = time.perf_counter_ns() - begin
        best = spent if best is None else min(best, spent)
    return round((best or 0) / max(len(texts), 1), 1)


def measure(capture: str, rounds: int, core: int) -> dict[str, Any]:
    """One capture; this process is pinned already."""
    whole = frames(Path(capture))
    texts = whole[len(whole) // 2 :]
    command = [str(BINARY), "--rounds", str(rounds), "--core", str(core), capture]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own binary
    if run.returncode != 0:
        raise BenchError(f"{capture}: {BINARY.name} failed: {run.stderr.strip()}")
    [native] = json.loads(run.stdout)["captures"]
    if native["frames"] != len(texts):
        raise BenchError(f"{capture}: {native['frames']} frames were read there and {len(texts)} here")
    native |= {
        "capture": capture,
        "orjson_loads": orjson_loads(texts, rounds),
        "orjson_loads_whole": orjson_loads(whole, rounds),
    }
    return {key: native[key] for key in ("capture", "frames", "bytes", *STAGES, *WHOLE, *ALLOCATIONS)}


def table(results: dict[str, Any]) -> str:
    """The results for people: one block a capture, each stage with its ratio to the yardstick."""
    blocks = []
    for capture in results["captures"]:
        yardstick = float(capture["orjson_loads"]) or 1.0
        path = Path(capture["capture"])
        name = f"{path.parent.name}/{path.name.split('.jsonl')[0]}"
        each = capture["bytes"] / max(capture["frames"], 1)
        lines = [
            f"{name}: {capture['frames']:,} frames, {each:,.0f} bytes each",
            f"  {'stage':<16}{'ns/frame':>10}{'of orjson':>11}",
        ]
        lines += [f"  {stage:<16}{capture[stage]:>10,.0f}{capture[stage] / yardstick:>11.2f}" for stage in STAGES]
        whole_yardstick = float(capture["orjson_loads_whole"]) or 1.0
        lines.append(
            f"  whole, {capture['frames_whole']:,} frames: orjson {whole_yardstick:,.0f}, columns "
            f"{capture['columns_whole']:,.0f} ns/frame, {capture['columns_whole'] / whole_yardstick:.2f}"
        )
        simd = float(capture["simd_json_tape"]) or 1.0
        lines.append(f"  columns / simd-json tape: {capture['columns'] / simd:.2f}")
        per_frame, per_batch, per_first = (capture[key] for key in ALLOCATIONS)
        lines.append(
            f"  allocations: {per_frame:g} a frame between batch closes, {per_batch:,.0f} a batch close, "
            f"{per_first:,.1f} a frame that is the first of its instrument and kind"
        )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def parser_of(prog: str, description: str) -> argparse.ArgumentParser:
    """What every program over captures takes."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument(
        "captures",
        nargs="*",
        metavar="CAPTURE",
        help=f"a .jsonl or .jsonl.gz in the capture format (default: those of every exchange in {CAPTURES})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the best counts (default 5)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core to be pinned to")
    return parser


def check_core(parser: argparse.ArgumentParser, core: int) -> None:
    """Refuses a core that is not there."""
    if core not in os.sched_getaffinity(0):
        parser.error(f"--core: there is no core {core} here; take one of {sorted(os.sched_getaffinity(0))}")


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = parser_of("pipeline.py", "Time per frame by stage, beside orjson.loads.")
    arguments = parser.parse_args(given)
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    check_core(parser, arguments.core)
    arguments.captures = arguments.captures or captures()
    if not arguments.captures:
        parser.error(f"no capture is given, and there is none in {CAPTURES}")
    return arguments


def main(given: list[str]) -> None:
    """Measures and prints."""
    arguments = _arguments(given)
    if not BINARY.exists():
        raise SystemExit(f"pipeline: {BINARY} is not there; run `make build`")
    os.sched_setaffinity(0, {arguments.core})
    results: dict[str, Any] = {"captures": []}
    for number, capture in enumerate(arguments.captures, 1):
        if not arguments.json:
            print(f"[{number}/{len(arguments.captures)}] {capture}", file=sys.stderr, flush=True)
        try:
            results["captures"].append(measure(capture, arguments.rounds, arguments.core))
        except BenchError as error:
            raise SystemExit(f"pipeline: {error}") from error
    print(json.dumps(results, indent=2) if arguments.json else table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
