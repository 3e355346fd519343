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

import arbitration  # noqa: E402
import gain  # noqa: E402
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
    "columns_states": 300.0,
    "frames_whole": 20,
    "orjson_loads_whole": 1100.0,
    "columns_whole": 330.0,
    "allocations_per_frame": 0.0,
    "allocations_per_batch": 40.5,
    "allocations_per_first": 3.0,
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


@pytest.mark.parametrize("module", [arbitration, gain])
def test_so_do_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: ModuleType) -> None:
    monkeypatch.setattr(module, "BINARY", tmp_path / "arbitration")
    with pytest.raises(SystemExit, match="make build"):
        module.main([])


@pytest.mark.parametrize(
    ("module", "given"),
    [(arbitration, ["--rounds", "0"]), (arbitration, ["--core", "9999"]), (gain, ["--seconds", "0"])],
)
def test_nor_do_these(module: ModuleType, given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        module.main(given)
    assert stopped.value.code == 2
    assert f"usage: {module.__name__}.py" in capsys.readouterr().err


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
    native = {key: value for key, value in CAPTURE.items() if not key.startswith("orjson")} | {"frames": 1}
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
    assert [line.split() for line in text.splitlines()[-5:-3]] == [
        ["columns", "200", "0.20"],
        ["columns_states", "300", "0.30"],
    ]
    assert "whole, 20 frames: orjson 1,100, columns 330 ns/frame, 0.30" in text
    assert "columns / simd-json tape: 0.40" in text
    assert "0 a frame between batch closes" in text


KIND = {"source": "x/a", "kind": "bbo", "frames": 2, "bytes": 200, "peek": 20.0, "winning": 400.0, "losing": 40.0}
MEMORY = {"name": "lru", "ns_per_key": 40.0, "bytes": 4_000_000}
GAIN = {
    "events": 100,
    "events_per_s": 500.0,
    "seconds": 1,
    "seed": 1,
    "gain": [
        {"connections": 1, "latency_us": {"p50": 1000.0, "p99_9": 12_000.0}},
        {"connections": 2, "latency_us": {"p50": 800.0, "p99_9": 3000.0}},
    ],
}


def stand_in(tmp_path: Path, script: str) -> Path:
    binary = tmp_path / "binary"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return binary


def test_losing_copies_are_shown_beside_the_same_frames_in_orjson(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind = json.dumps({"copies": [KIND | {"file": "FILE"}], "throughput": [{"source": "x/a", "one": 80, "three": 100}]})
    dedup = {"keys": "ids", "events": 10, "copies": 3, "capacity": 1000}
    block = json.dumps({"dedup": [dedup | {"memories": [MEMORY | {"name": "Deduper", "ns_per_key": 10.0}, MEMORY]}]})
    write = f"""for last in "$@"; do [ "$before" = --frames ] && folder=$last; before=$last; done
case $1 in copies) printf '%s\\n%s\\n' '{FRAME}' '{FRAME}' > $folder/0.frames
cat <<'END' | sed "s|FILE|$folder/0.frames|"
{kind}
END
;; dedup) cat <<'END'
{block}
END
;; esac"""
    monkeypatch.setattr(arbitration, "BINARY", stand_in(tmp_path, write))
    results = arbitration.measure(["capture"], rounds=1, events=10)
    [told] = results["copies"]
    assert told["orjson_loads"] > 0
    results["copies"] = [told | {"orjson_loads": 500.0}]
    text = [line.split() for line in arbitration.table(results).splitlines()]
    assert ["x/a,", "bbo", "2", "20", "40", "0.100", "0.080"] in text
    assert ["x/a", "80", "100", "0.80"] in text
    assert ["Deduper", "(0.25", "of", "lru)", "10.0", "4.0"] in text


def test_what_the_binary_complains_of_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arbitration, "BINARY", stand_in(tmp_path, "echo no exchange is called x >&2; exit 1"))
    with pytest.raises(pipeline.BenchError, match="no exchange is called x"):
        arbitration.native("copies", "x/a.jsonl")


def test_the_gain_is_drawn_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = stand_in(tmp_path, f"cat <<'END'\n{json.dumps(GAIN)}\nEND")
    monkeypatch.setattr(gain, "BINARY", binary)
    monkeypatch.setattr(arbitration, "BINARY", binary)
    monkeypatch.setattr(gain, "RESULTS", tmp_path / "gain.json")
    gain.main(["--write"])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["latency,", "ms", "p50", "p99.9"],
        ["1", "connection", "1.00", "12.00"],
        ["2", "connections", "0.80", "3.00"],
    ]
    assert json.loads((tmp_path / "gain.json").read_text()) == GAIN
    drawn = (tmp_path / "gain.svg").read_text()
    assert drawn.count("<rect") == 1 + 4
    assert "3.00 ms (0.25 of one&apos;s)" in drawn or "3.00 ms (0.25 of one's)" in drawn
    assert "virtual time" in drawn


def test_the_published_chart_is_that_of_the_published_figures() -> None:
    assert gain.RESULTS.with_suffix(".svg").read_text() == gain.chart(json.loads(gain.RESULTS.read_text()))


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


@pytest.mark.parametrize("module", [pipeline, loopback, arbitration, gain])
def test_help_says_what_it_measures(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert "per" in capsys.readouterr().out
