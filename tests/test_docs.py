"""What README, docs and examples say is run, and what they list is compared with what there is.

Every ```python and ```bash block of a page runs, in the order of the page, in a folder where the simulators have
recorded `binance-futures.jsonl.gz`, `okx.jsonl.gz` and so on. A block that would reach an exchange reaches its
simulator instead: `xt.stream` and `xtrader collect` get its addresses, and a stream ends by itself after a while.
Targets of make are looked up, not run. A block that cannot run says so in a comment right before it:
`<!-- not run: reason -->`.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pyarrow as pa
import pytest

import xtrader as xt

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
VENUES = sorted({offer["venue"] for offer in xt.exchanges()})
RECORDING = "binance-futures.jsonl.gz"
# Seconds of the recording, and that a stream without an end of its own lasts.
SECONDS = 3.0


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    skipped: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    before, opened, code, language = "", 0, list[str](), ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not opened and line.startswith("```"):
            opened, language, code = number, line.removeprefix("```").strip(), []
        elif opened and line.startswith("```"):
            yield Block(page, opened, language, "\n".join(code) + "\n", before.startswith("<!-- not run:"))
            opened = 0
        elif opened:
            code.append(line)
        elif line.strip():
            before = line.strip()
    assert not opened, f"{page}:{opened}: a block without an end"


@pytest.fixture(scope="module")
def venues() -> Iterator[dict[str, xt.Simulator]]:
    """A simulator of each venue."""
    with ExitStack() as stack:
        yield {venue: stack.enter_context(xt.Simulator(exchange=venue, seed=7)) for venue in VENUES}


@pytest.fixture(scope="module")
def exchange(venues: dict[str, xt.Simulator]) -> xt.Simulator:
    return venues["binance-futures"]


@pytest.fixture(scope="module")
def place(venues: dict[str, xt.Simulator], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording of each venue."""
    folder = tmp_path_factory.mktemp("docs")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda venue: venues[venue].record(folder / f"{venue}.jsonl.gz", SECONDS), venues))
    return folder


def simulator_of(subscription: str, venues: dict[str, xt.Simulator]) -> xt.Simulator:
    market = subscription.partition(":")[0]
    return venues[next((offer["venue"] for offer in xt.exchanges() if offer["exchange"] == market), market)]


@pytest.fixture
def at_home(venues: dict[str, xt.Simulator], place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In that folder, with a stream that goes to the simulator and ends."""
    real = xt.stream

    @functools.wraps(real)
    def stream(*subscriptions: str, **options: Any) -> xt.Stream:
        endpoints = simulator_of(subscriptions[0], venues).endpoints
        opened = real(*subscriptions, **{"endpoints": endpoints, **options})
        timer = threading.Timer(SECONDS, opened.close)
        timer.daemon = True
        timer.start()
        return opened

    monkeypatch.setattr(xt, "stream", stream)
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("at_home")
def test_what_a_page_tells_to_type_works(page: Path, venues: dict[str, xt.Simulator]) -> None:
    runners: dict[str, Callable[[Block, dict[str, xt.Simulator]], None]] = {
        "python": run_python,
        "bash": run_bash,
        "json": run_json,
    }
    for block in blocks(page):
        if block.skipped:
            continue
        if block.language in runners:
            runners[block.language](block, venues)
        else:
            assert block.language in {"text", "toml", "rust"} or block.language == "", (
                f"{block.place}: {block.language}?"
            )


def run_python(block: Block, _venues: dict[str, xt.Simulator]) -> None:
    # Each block stands alone, so that it can be copied.
    code = compile("\n" * block.line + block.code, str(block.page), "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102 - that is the test


def run_json(block: Block, _venues: dict[str, xt.Simulator]) -> None:
    json.loads(block.code)


def run_bash(block: Block, venues: dict[str, xt.Simulator]) -> None:
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "make":
            for target in words[1:]:
                assert target in targets(), f"{block.place}: make has no target {target}"
            continue
        done = subprocess.run(command(words, venues), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{block.place}: {line}\n{done.stdout}{done.stderr}"


def command(words: list[str], venues: dict[str, xt.Simulator]) -> list[str]:
    program, *arguments = words
    if program == "xtrader":
        if arguments[:1] == ["collect"] and "--ws" not in arguments:
            simulator = simulator_of(arguments[1], venues)
            arguments += ["--ws", simulator.ws_url, "--rest", simulator.rest_url]
        return [sys.executable, "-m", "xtrader", *arguments]
    assert program == "python", f"{program}: a command that this test cannot run; say why not, right before the block"
    return [sys.executable, *(str(ROOT / word) if (ROOT / word).is_file() else word for word in arguments)]


@functools.cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.relative_to(ROOT)}: {target} is not there"
        if anchor:
            assert anchor in anchors(linked), f"{page.relative_to(ROOT)}: {target} has no such heading"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(example: Path, place: Path) -> None:
    usage = re.search(rf"python examples/{example.name}(.*)", example.read_text())
    assert usage, f"{example.name} does not say how to run it"
    arguments = [RECORDING] if "CAPTURE" in usage[1] else ["2"]
    run = [sys.executable, "-W", "error", str(example), *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60, cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


# ---- the readme against what there is


def test_exchanges_are_those_that_the_readme_lists() -> None:
    """Each line: markets, streams, speeds of books, how a book is kept true (where its snapshot is from), login."""

    def words(cell: str) -> list[str]:
        return re.findall(r"`([^`]+)`", cell)

    rows = re.findall(
        r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \| (REST|channel)\b[^|]* \| ([^|]+) \|$", README, re.MULTILINE
    )
    listed = [
        (market, words(streams), words(speeds), snapshot.lower(), login.startswith("key"))
        for markets, streams, speeds, snapshot, login in rows
        for market in words(markets)
    ]
    there = [
        (o["exchange"], o["streams"], o["depth_speeds"], o["snapshot"], o["login"])
        for o in sorted(xt.exchanges(), key=lambda offer: [row[0] for row in listed].index(offer["exchange"]))
    ]
    assert listed == there


# ---- the architecture page against what there is


@functools.cache
def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()


def section(title: str) -> str:
    """From a heading to the next of its rank or higher."""
    found = re.search(rf"^(#+) {re.escape(title)}$", architecture(), flags=re.MULTILINE)
    assert found, title
    rest = architecture()[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: end.start()] if end else rest


def documented_columns(title: str) -> list[tuple[str, str]]:
    """Columns of a table as the page lists them: name, and type with `null` where it may be."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section(title), flags=re.MULTILINE)
    return [(name, kind) for name, kind in rows if not name.isdigit()]


WORD = pa.dictionary(pa.int8(), pa.string())
TYPES = {
    pa.timestamp("ns", tz="UTC"): "time",
    WORD: "word",
    pa.string(): "utf8",
    pa.binary(): "binary",
    pa.bool_(): "bool",
    pa.float64(): "number",
    pa.uint8(): "u8",
    pa.uint16(): "u16",
    pa.uint64(): "u64",
    pa.int32(): "i32",
    pa.int64(): "i64",
}


def kind(field: pa.Field) -> str:
    name = f"list of {TYPES[field.type.value_type]}" if pa.types.is_list(field.type) else TYPES[field.type]
    return f"{name}, null" if field.nullable else name


@pytest.fixture(scope="module")
def session(exchange: xt.Simulator) -> dict[str, xt.Batch]:
    """A batch of each of these tables, from a live session through a gap."""
    exchange.inject("drop", target={"stream": "btcusdt@depth@100ms"}, when={"after_frames": 5})
    tables = ["trades", "l2", "levels", "bbo", "gaps", "instruments", "raw"]
    found: dict[str, xt.Batch] = {}
    live = xt.stream(
        "binance-futures:BTCUSDT", streams=["trades", "l2", "bbo"], tables=tables, endpoints=exchange.endpoints
    )
    with live:
        for _ in range(10_000):
            batch = live.next(timeout=20)
            assert batch is not None
            found[batch.table] = batch
            if len(found) == len(tables):
                return found
    raise AssertionError(f"no batch of {set(tables) - found.keys()}")


@pytest.mark.parametrize("table", xt.tables())
def test_columns_are_those_that_the_page_lists(table: str) -> None:
    schema = pa.schema(xt.schema(table))
    real = [(field.name, kind(field)) for field in schema]
    assert real == documented_columns("Keys") + documented_columns(f"`{table}`")
    assert {key.decode() for key in schema.metadata} >= set(re.findall(r"`(xtrader\.\w+)`", section("Tables")))


def test_words_of_closed_sets_are_those_that_the_page_lists(session: dict[str, xt.Batch]) -> None:
    for table, batch in session.items():
        for column in batch.to_pyarrow().schema:
            if column.type != WORD:
                continue
            words = batch.to_pyarrow().column(column.name).dictionary.to_pylist()
            text = section("Keys") + section(f"`{table}`") + section("`trades`")
            for word in words if column.name != "stream" else []:
                assert f"`{word}`" in text, f"{table}.{column.name}: {word}"


def test_reasons_are_those_that_the_page_lists() -> None:
    source = (ROOT / "rust/core/src/report.rs").read_text()
    for name, heading in (("IgnoreReason", "ignored"), ("RejectReason", "rejected")):
        body = source.split(f"    {name} {{")[1].split("\n    }\n")[0]
        reasons = re.findall(r'\w+ = "(\w+)"', body)
        listed = re.search(rf"\| {heading} \| \|\n\|---\|---\|\n((?:\|.*\n)+)", section("Counters and reports"))
        assert listed
        assert re.findall(r"^\| `(\w+)`", listed[1], flags=re.MULTILINE) == reasons


def test_reports_are_those_that_the_page_lists(place: Path) -> None:
    replay = xt.replay(place / RECORDING)
    assert sum(len(batch) for batch in replay) > 0
    report = replay.report()
    text = section("Counters and reports")
    shape = next(
        json.loads(block.code) for block in blocks(ROOT / "docs/architecture.md") if '"scanner_miss"' in block.code
    )
    counters = report["counters"]
    assert counters.keys() == shape.keys()
    for part in ("frames", "replies"):
        assert counters[part].keys() == shape[part].keys()
    frames = counters["frames"]
    ways = [frames[way] for way in ("accepted", "duplicate", "stale", "held", "held_dropped")]
    assert frames["total"] == sum(ways) + sum(frames["ignored"].values()) + sum(frames["rejected"].values())
    for key in [*report, *report["books"][0]]:
        assert f"`{key}`" in text or f"`{key}: {{" in text, key


def test_the_live_report_is_the_one_that_the_page_lists(exchange: xt.Simulator) -> None:
    with xt.stream("binance-futures:BTCUSDT", endpoints=exchange.endpoints) as stream:
        stream.next(timeout=20)
        report = stream.report()
    text = section("Counters and reports")
    parts = [report, report["connections"][0], report["rest"], report["queue"]]
    for key in (key for part in parts for key in part):
        assert f"`{key}`" in text, key


def test_flags_are_those_that_the_page_lists() -> None:
    source = (ROOT / "rust/core/src/table.rs").read_text()
    bits = re.findall(r"pub const \w+: u8 = (\d+);", source)
    assert re.findall(r"^\| (\d+) \|", section("Keys"), flags=re.MULTILINE) == bits


def test_the_page_names_files_that_are_there() -> None:
    """`core/src/…` in tables is short for `rust/core/src/…`."""
    for name in re.findall(r"`((?:rust|core|runtime|python|tests|benches)/[\w/.]+\.(?:rs|py))`", architecture()):
        assert (ROOT / name).exists() or (ROOT / "rust" / name).exists(), name


# ---- the chart


def test_the_chart_shows_what_was_measured(tmp_path: Path) -> None:
    stages = {
        "orjson_loads": 2000.0,
        "simd_json_tape": 900.0,
        "peek": 60.0,
        "decode": 250.0,
        "book": 450.0,
        "columns": 600.0,
    }
    capture = {"capture": "x/hft_btcusdt.jsonl.gz", "frames": 1000, "bytes": 300_000, **stages}
    results = tmp_path / "pipeline.json"
    results.write_text(json.dumps({"captures": [capture, {**capture, "capture": "a <b> & c.jsonl"}]}))
    run = [sys.executable, str(ROOT / "benches" / "chart.py"), str(results)]
    subprocess.run(run, check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": "error"})
    drawn = ET.parse(tmp_path / "pipeline.svg").getroot()  # noqa: S314 - our own
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "600 ns (0.30 of it)" in texts
    assert "2,000 ns" in texts
    widths = [
        float(r.attrib["width"]) for r in drawn.iter("{http://www.w3.org/2000/svg}rect") if r.attrib["height"] == "18"
    ]
    assert widths[0] / widths[1] == pytest.approx(2000 / 900, rel=0.01)
    assert sum(widths[2:6]) / widths[0] == pytest.approx(0.3, rel=0.01)


def test_polars_reads_what_the_page_says_of_missing_values(session: dict[str, xt.Batch]) -> None:
    """Null is what the exchange does not say, never zero."""
    trades = pl.DataFrame(session["trades"])
    assert trades["contracts"].null_count() == len(trades)
    assert trades["price"].null_count() == 0
