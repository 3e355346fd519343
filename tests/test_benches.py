"""What the benches say when something is missing, and how they show what was measured. Not the speed itself."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benches"))

import loopback  # noqa: E402
import pipeline  # noqa: E402

FRAME = '{"e":"bookTicker","u":7,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3","T":1721260800000,"E":1721260800000}'
CAPTURE = {
    "capture": "x/a.jsonl.gz",
    "frames": 10,
    "bytes": 2000,
    "orjson_loads": 1000.0,
    "simd_json_tape": 500.0,
    "peek": 50.0,
    "decode": 100.0,
    "book": 150.0,
    "columns": 200.0,
    "allocations_per_frame": 0.0,
    "allocations_per_batch": 40.5,
}


def lines(*frames: str) -> str:
    first = {"recv_ns": 1, "conn": "a", "dir": "out", "frame": "{}"}
    told = [{"recv_ns": n, "conn": "a", "dir": "in", "frame": frame} for n, frame in enumerate(frames, 2)]
    return "".join(json.dumps(line) + "\n" for line in [first, *told])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benches" / "pipeline.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("packed", [False, True])
def test_the_yardstick_reads_what_was_received(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("capture.jsonl.gz" if packed else "capture.jsonl")
    text = lines(FRAME, '{"é":1}').encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    assert pipeline.frames(path) == [FRAME.encode(), '{"é":1}'.encode()]
    assert pipeline.orjson_loads(pipeline.frames(path), rounds=2) > 0


@pytest.mark.parametrize("text", ["no json\n", '{"dir": "in"}\n', "[]\n", None])
def test_what_is_no_capture_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "capture.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(pipeline.BenchError, match=r"capture\.jsonl: this is no capture"):
        pipeline.frames(path)


def test_a_missing_binary_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "BINARY", tmp_path / "pipeline")
    with pytest.raises(SystemExit, match="make build"):
        pipeline.main(["capture.jsonl"])


@pytest.mark.parametrize("arguments", [["--rounds", "0", "a"], ["--core", "9999", "a"], ["--rounds", "x", "a"]])
def test_arguments_that_make_no_sense(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: pipeline.py" in done.stderr


def test_without_captures_those_of_every_exchange_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "CAPTURES", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        pipeline.main([])
    assert stopped.value.code == 2
    for name, text in [
        ("okx/b.jsonl", lines(FRAME)),
        ("okx/a_frames.jsonl", lines(FRAME)),
        ("deribit/only_replies.jsonl", lines()),
        ("binance/a.jsonl", lines(FRAME)),
        ("kraken/a.jsonl", lines(FRAME)),
    ]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert [Path(path).resolve() for path in pipeline.captures()] == [
        tmp_path / "binance/a.jsonl",
        tmp_path / "okx/b.jsonl",
    ]


def test_json_has_every_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for the binary: what it prints is checked where it is built, by `make bench`."""
    capture = tmp_path / "capture.jsonl"
    capture.write_text(lines(FRAME))
    native = {key: value for key, value in CAPTURE.items() if key != "orjson_loads"} | {"frames": 1}
    binary = tmp_path / "pipeline"
    binary.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({'captures': [native]})}\nEND\n")
    binary.chmod(0o755)
    monkeypatch.setattr(pipeline, "BINARY", binary)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    pipeline.main(["--json", "--rounds", "1", str(capture)])
    [told] = json.loads(capsys.readouterr().out)["captures"]
    assert list(told) == list(CAPTURE)
    assert told["capture"] == str(capture)

    capture.write_text(lines(FRAME, FRAME, FRAME))
    with pytest.raises(SystemExit, match="1 frames were read there and 2 here"):
        pipeline.main(["--json", str(capture)])


def test_the_table_shows_the_ratios() -> None:
    text = pipeline.table({"captures": [CAPTURE]})
    assert "x/a: 10 frames, 200 bytes each" in text
    assert text.splitlines()[-3].split() == ["columns", "200", "0.20"]
    assert "columns / simd-json tape: 0.40" in text
    assert "0 a frame between batch closes" in text


@pytest.mark.parametrize(("q", "value"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)])
def test_quantiles_are_values_that_occurred(q: float, value: float) -> None:
    assert loopback.quantile([float(n) for n in range(1, 101)], q) == value


@pytest.mark.parametrize("name", list(loopback.CLIENTS))
def test_every_client_takes_every_frame_in_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "WARM_UP_S", 0.0)
    taken, written = loopback.run(loopback.CLIENTS[name], 500, 0.5)
    numbers = [number for _, number in taken]
    assert numbers == list(range(len(numbers)))
    assert numbers
    assert all(at >= written[number] for at, number in taken)


def test_the_tables_of_loopback() -> None:
    client = {
        "client": "x",
        "frames_per_s": 12_345,
        "latency_us": {"frames": 1, "p50": 1.0, "p99": 22.0, "p99_9": 333.0},
    }
    text = loopback.table({"rate": 10_000, "cores": 2, "forced": True, "clients": [client]})
    assert "x                           12,345         1        22       333" in text
    assert "Spinning was forced" in text


@pytest.mark.parametrize("module", [pipeline, loopback])
def test_help_says_what_it_measures(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert "per" in capsys.readouterr().out
