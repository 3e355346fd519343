"""Writes `docs/reliability.md`: what can go wrong, what must be true then, and the tests that show it.

A test says what it covers by a marker: in Rust a comment line directly above it, `// Fault: N01, B07`; in Python the
decorator `@pytest.mark.fault("N01", "B07")`. The catalogue below says which faults there are. With `--check` nothing is
written; the exit code is 1 where the page is stale, a marker names what is not in the catalogue or stands above no
test, a fault has no test, or a fault that `make test` must cover is covered by `make test-long` alone.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
SOURCES = ("rust", "tests")

# Where a test runs: `make test` takes both kinds of machine, `make test-long` what takes minutes.
Run = Literal["P", "N"]
COMMANDS: dict[Run, str] = {"P": "`make test`", "N": "`make test-long`"}

GROUPS = {
    "N": "Network",
    "X": "The exchange misbehaves",
    "B": "Bad input",
    "C": "Consumers and the Python boundary",
    "T": "Clocks",
    "G": "Configuration",
    "Z": "Security",
}


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong."""

    what: str
    must: str
    run: Run = "P"
    # What of it no test shows yet.
    missing: str = ""


FAULTS = {
    "N01": Fault(
        "TCP reset in the middle of a frame, cut at any byte",
        "A part of a message is never a message. Each stream that the connection alone carried has one gap with "
        "cause `disconnect`; a book is not live again before its next snapshot.",
    ),
    "N02": Fault(
        "Close frame with code 1000, 1001, 1008, 1012 or 1013",
        "Code and (escaped) reason are reported and recorded; the connection comes back by backoff, after 1008 and "
        "1013 not before 5 s; the gap is closed.",
    ),
    "N03": Fault(
        "The stream of bytes ends without a Close frame",
        "It is a disconnect and never “finished”; the connection comes back.",
    ),
    "N04": Fault(
        "Half-open: no bytes either way, the socket stays open",
        "It shows itself by not answering within its deadlines and is dropped; the gap begins at the last good event, "
        "not at the detection.",
    ),
    "N05": Fault(
        "Pings and requests are answered, no stream delivers",
        "Pongs and acks prove nothing: REST says whether the market moves, and then the connection is given up.",
    ),
    "N06": Fault(
        "One stream goes mute while others flow",
        "REST tells quiet from dead. Quiet: nothing happens. Dead: that stream alone has a gap and is asked for again.",
    ),
    "N07": Fault(
        "A subscription is accepted and nothing ever comes",
        "The deadline counts from the subscription, not from a first message; an ack is not data.",
    ),
    "N08": Fault(
        "One byte now and then",
        "A message has a deadline from its first byte to its last; other connections go on.",
        run="N",
    ),
    "N10": Fault(
        "One of several connections lags by seconds, with jitter",
        "No event twice, and trades in the order of the first arrivals; the lag of each connection stands in "
        "`connections` (`behind_p50_us`, `behind_p99_us`).",
    ),
    "N11": Fault(
        "One of two connections dies, the other one a moment later",
        "The gap of the merged stream is as long as both are down, and no longer; what was held for a bridge that "
        "can no longer come is a gap at once.",
    ),
    "N12": Fault(
        "One connection misses what another brings late",
        "Within `heal_window_ms` it is a healed hole, two rows with `repaired = connection` and none of `gaps` in the "
        "counters; after it, a gap that the late copy closes.",
    ),
    "N13": Fault(
        "Connections are accepted and closed at once, for ten minutes",
        "Full-jitter backoff that grows, attempts under the exchange's cap, one outage in `gaps`.",
    ),
    "N14": Fault(
        "Names that do not resolve or hang, dead addresses, a black-holed IPv6",
        "The next address is tried, address families take turns, nothing else waits.",
        run="N",
    ),
    "N15": Fault(
        "TLS stalls, sends garbage, or shows another chain on the next connection",
        "The handshake has a deadline; each chain is judged anew, a good one is taken and a bad one refused.",
    ),
    "N16": Fault(
        "The upgrade is answered 429, 418, 403, 503 or 301",
        "`Retry-After` is obeyed by the whole process, a host that refused is not asked before its time, a redirect is "
        "not followed, the status is reported.",
    ),
    "N17": Fault(
        "Wrong `Sec-WebSocket-Accept`, an extension or subprotocol nobody asked for",
        "The connection is refused as a broken protocol and tried again by backoff.",
    ),
    "N19": Fault(
        "Our own bytes cannot leave", "What waits is bounded in bytes and in time; then the connection is given up."
    ),
    "N18": Fault(
        "The exchange cuts a connection at a certain age",
        "Another carries its streams before that: no gap, no repetition, quiet streams included.",
    ),
    "N20": Fault(
        "The link is down for an hour, and the address may be another afterwards",
        "All connections are back within the longest backoff, where the name points to then; one gap of each stream.",
    ),
    "N21": Fault(
        "Connections stop and come back in any order",
        "In the end all are up; what one of them brought is there once; every gap is closed.",
    ),
    "X01": Fault(
        "One message of a book is lost",
        "A gap with the exchange's own ids stands before the next row of that book; nothing of it is handed out before "
        "a fresh snapshot made it live again, and no other book is disturbed.",
    ),
    "X02": Fault(
        "What was missing arrives later",
        "A trade is delivered once, in order of arrival, and its gap closed with `repaired`; a book is never patched "
        "backwards.",
    ),
    "X03": Fault("An exact copy of an event", "It is dropped before it is parsed, and counted as `duplicate`."),
    "X04": Fault(
        "One id with two contents",
        "The first stands. Copies that `verify` picks are compared with it: a difference is a gap `conflict`, and the "
        "report names both messages.",
    ),
    "X05": Fault(
        "Ids fall in the middle of a connection with the chain intact (OKX, after maintenance)",
        "The message is applied, and a gap `id_reset` that is closed at once names the new epoch; no huge hole.",
    ),
    "X07": Fault(
        "Ids that chain and jump (OKX, Deribit, Binance USDⓈ-M)",
        "A break is a gap of unknown size: its ids are named, and no number of missing messages is invented.",
    ),
    "X08": Fault(
        "No snapshot ever overlaps the diffs that are held",
        "The book stays `awaiting_snapshot`, emits nothing, asks again with a capped backoff, and holds a bounded "
        "number of events; each one dropped is counted.",
    ),
    "X09": Fault(
        "The snapshot endpoint fails, refuses or hangs for ten minutes",
        "As before; trades go on, and no request is sent to a host that refuses.",
    ),
    "X10": Fault(
        "A snapshot from a cache, or of another symbol", "It is not taken, and the reply is counted with its reason."
    ),
    "X11": Fault("A snapshot that lags behind the stream", "What was held bridges it; no resync."),
    "X12": Fault(
        "A snapshot with a level that no change ever takes back: the book stays crossed",
        "Found at the end of the event: a gap with evidence `crossed`; the book is asked for again and never mended.",
    ),
    "X14": Fault(
        "Deletes of levels that the book does not have", "Routine on this exchange: counted, and nothing else."
    ),
    "X15": Fault(
        "A checksum is wrong once, is always zero, or is not there",
        "Wrong: the book is not live before its next snapshot. Zero or absent: not offered, never a failure; of a "
        "book that has had one, counted as `unverified` in its report.",
    ),
    "X16": Fault(
        "A feed of so many levels: levels leave the window and come back",
        "The book equals the exchange's own at every id that is compared.",
    ),
    "X17": Fault(
        "One subscription of many is refused, silently left out of the answer, or acknowledged and never served",
        "Named as a gap, a warning and counted, asked for again with backoff; the others run, and what is listed no "
        "more ends. Where all is refused before anything was granted, the stream ends with the exchange's own words.",
    ),
    "X18": Fault(
        "Data of an instrument that nobody subscribed",
        "Counted as `unsolicited`, kept in `raw`, and no row, file or folder comes of it.",
    ),
    "X19": Fault(
        "A new message type; a field added, removed or of another type",
        "New types and fields change nothing and are counted; a field that drives state and is not as it must be "
        "rejects the frame as `schema`. The frame stands in `raw`, so a later parser can read it.",
    ),
    "X20": Fault(
        "Recent trades are sent again after a subscription or a reconnect",
        "No trade twice.",
    ),
    "X21": Fault(
        "Trade ids go backwards, or begin anew",
        "A late copy is dropped by its window; ids that fall while time goes on are a gap `id_reset`, and every trade "
        "after it is delivered.",
    ),
    "X22": Fault(
        "Zero price or size, absurd numbers, times in another unit, in the future or in the past",
        "Zero price or size is no trade: ignored with that reason. Odd times are delivered with flag 8. Nothing is "
        "mended.",
    ),
    "X23": Fault(
        "An instrument is halted, delisted, listed anew, or gets another tick or contract size",
        "A row of `instruments` with its validity; what comes after it is read by the new values, what came before by "
        "the old ones.",
        run="N",
    ),
    "X24": Fault(
        "Maintenance: every stream stops, and the exchange says so once",
        "One planned change of connection or one outage, not a fault of each stream; it comes back by itself.",
        run="N",
    ),
    "X25": Fault(
        "The exchange closes the older of our connections whenever another comes up",
        "After the third time in a row without exception the place is given up for a minute, then for twice as long, "
        "and comes back when there is room; the report says how many are wanted, up and given up; nothing is missing. "
        "Cuts by chance, however frequent, are not taken for it.",
    ),
    "X26": Fault(
        "The last message before a long silence is lost",
        "REST finds it, and the gap begins at the last trade that came.",
        run="N",
    ),
    "X27": Fault(
        "Two connections send different content under one id",
        "The first counts whole; a book is never a mixture.",
    ),
    "X28": Fault(
        "Each connection gets its own cut of the changes of a book",
        "The overlap rule: after every row the book is the exchange's book at that id, and what is held waits for the "
        "bridge at most `heal_window_ms`, whatever is filled meanwhile.",
    ),
    "X29": Fault(
        "Very large events and snapshots, a flood of pings, fragments with control frames between them",
        "Read correctly, within bounds, and answered no faster than the exchange allows.",
    ),
    "X30": Fault(
        "Event times run backwards within a stream",
        "Rows stand in the order of arrival, with the times as sent; nothing is sorted.",
    ),
    "B01": Fault(
        "Invalid UTF-8 in a text frame", "Recorded, `rejected{utf8}`, and the next frame is read. The connection stays."
    ),
    "B02": Fault(
        "Truncated JSON, trailing bytes, two documents, a byte order mark, an empty frame",
        "`rejected{json}`, never a row, and the next frame is read.",
    ),
    "B03": Fault("Nesting a hundred thousand deep", "`rejected{depth}` before anything recurses."),
    "B04": Fault(
        "`1e400`, 400 digits, `-0`, `NaN`, `Infinity`",
        "Exact or refused (`range`, `schema`); prices and sizes never pass through a float.",
    ),
    "B05": Fault(
        "A million levels, 16 MiB of text, a hundred thousand keys", "Bounded time and memory; `rejected{limit}`."
    ),
    "B06": Fault(
        "Repeated keys, another order of keys, numbers as texts and texts as numbers",
        "One rule (the last of repeated keys counts), the same in both parsers and in a third one.",
        run="N",
    ),
    "B07": Fault(
        "A header that announces 2^63 bytes; fragments without end",
        "Refused from the header, nothing allocated; a message has a total bound.",
    ),
    "B08": Fault(
        "A compression bomb",
        "Replies and lines of recordings are cut at the bound as they inflate; compression of the WebSocket is not "
        "offered, and refused where it is forced on us.",
    ),
    "B09": Fault(
        "A compressed stream that is cut or damaged, or has something after its end",
        "What was whole is delivered, the rest is an error that names the place; nothing of it reaches what follows.",
    ),
    "B10": Fault(
        "Reserved bits and opcodes, masked or fragmented control frames, bad close codes",
        "A broken protocol: closed with the right code and opened again, no panic.",
    ),
    "B11": Fault(
        "A million distinct names of instruments",
        "Memory is bounded by what was subscribed and what the exchange lists; an unknown name becomes no label, path "
        "or table.",
    ),
    "B13": Fault(
        "1 to 8 bytes of a frame changed at random",
        "Taken or rejected, never mistaken for another; the counters add up.",
    ),
    "B14": Fault(
        "Control characters, escapes and look-alikes in names and in a peer's words",
        "Escaped where they are shown; refused where they would be a name or a path.",
    ),
    "C04": Fault(
        "The consumer's own code raises in the middle of a stream",
        "The error is the consumer's to see; the stream lives and can be read on.",
    ),
    "C05": Fault(
        "An iterator abandoned, a task cancelled, a generator closed half way",
        "Sockets, threads and batches are freed, however often.",
    ),
    "C08": Fault(
        "`fork()` with a stream running",
        "The child gets a clear error, the parent goes on.",
    ),
    "C09": Fault(
        "Interpreter exit, Ctrl-C, `sys.exit` in the loop, a daemon thread",
        "It ends at once and cleanly; what `collect` holds is written first.",
    ),
    "C11": Fault(
        "An Arrow buffer outlives the engine",
        "It stays valid and unchanged.",
        run="N",
    ),
    "T07": Fault(
        "The exchange's clock is off by ten seconds, or changes its unit",
        "Delivered and flagged; whether a stream is alive is judged by our own monotonic clock alone.",
    ),
    "T09": Fault("Times before 1970 and after 2262", "Checked arithmetic: null and flag 8, never wrapped."),
    "G03": Fault(
        "A symbol, kind or stream that the exchange does not list",
        "Refused with what there is: before anything is dialled where its name tells, else when the reference data do; "
        "never replaced by something like it.",
    ),
    "G05": Fault(
        "The same is subscribed twice, by name and by patterns that overlap",
        "It is asked for once and counted once; it ends when the last that means it is removed.",
    ),
    "G06": Fault(
        "More subscriptions than one connection, request or address may carry",
        "They are spread over connections by the exchange's rules; a request that would break a budget waits.",
    ),
    "G08": Fault(
        "A secret is missing or empty, half of a pair, or its file is readable by others",
        "Refused at the start; the name is said, the value never.",
    ),
    "G10": Fault(
        "Several connections to a stream whose copies cannot be told apart",
        "Refused before anything is dialled, with the reason and what to do instead.",
    ),
    "Z01": Fault(
        "A certificate that is self-signed, expired, of another host or of an unknown authority",
        "Refused. There is no option that turns this off.",
    ),
    "Z03": Fault("`ws://` or `http://` to another machine", "Refused before anything is dialled."),
    "Z04": Fault(
        "REST redirects elsewhere, sends too much, or sends a gzip bomb",
        "Not followed; cut at the bound as it inflates.",
    ),
    "Z05": Fault(
        "A secret on its way into a log, an error, a report or a recording",
        "It never arrives: requests and replies that hold one are blanked before they are recorded, and what holds one "
        "shows stars.",
    ),
    "Z16": Fault(
        "Undefined behaviour",
        "`unsafe` stands in listed places only, each with its reason; vector kernels equal their scalar twins on "
        "anything, under AddressSanitizer too (`make test-long`).",
        run="N",
        missing="a run under Miri: it is not part of a stable toolchain",
    ),
    "Z17": Fault(
        "An exchange that floods us: pings, headers, handshakes that never end",
        "Every one has a bound in bytes or a deadline, and answers leave at our own rate.",
    ),
}

# Faults that no test covers at all, and what a test would have to show. A fault with a test must not stand here.
UNTESTED: dict[str, str] = {}


HEAD = """<!-- Written by docs/generate_reliability.py. -->
# What can go wrong, and what is proved

Each fault, what must be true when it strikes, and the tests that inject it and look. A test names its faults by a
marker: `// Fault: N01` above a Rust test, `@pytest.mark.fault("N01")` on a Python one. `make test` fails if this page
is stale, if a marker names a fault that is not here, or if a fault has lost its last test.

Left out are faults of exchanges that are not here: a sequence that restarts at 1 with a snapshot (Bybit, X05 in its
narrow sense), a counter that belongs to the connection and counts control frames (Coinbase, X06).
"""


@dataclass(frozen=True)
class Test:
    """A test that bears a marker."""

    path: Path
    name: str
    faults: tuple[str, ...]
    run: Run


class MisplacedMarkerError(Exception):
    """A marker that stands above no test."""


_MARKER = re.compile(r"^\s*///?\s*Fault:\s*(.+?)\s*$")
_FUNCTION = re.compile(r"^\s*(?:pub(?:\([a-z]+\))?\s+)?(?:async\s+)?fn\s+(\w+)")
# What the conformance kit runs for every exchange; one that it does not list is dead code, and lint refuses it.
_BEHAVIOUR = re.compile(r"fn \w+\(case: &'static Case\)")
_BETWEEN = re.compile(r"^\s*(?://|#\[|\)\]|$)")


def rust_tests(path: Path) -> Iterator[Test]:
    """The marked tests of a Rust file."""
    faults: list[str] = []
    attributes = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if marker := _MARKER.match(line):
            faults += [fault.strip() for fault in marker[1].split(",")]
        elif not faults:
            continue
        elif function := _FUNCTION.match(line):
            if "test" not in attributes and not _BEHAVIOUR.search(line):
                raise MisplacedMarkerError(f"{path}:{number}: {function[1]} has a fault marker and is no test")
            yield Test(path, function[1], tuple(faults), "N" if "#[ignore" in attributes else "P")
            faults, attributes = [], ""
        elif _BETWEEN.match(line):
            attributes += line
        else:
            raise MisplacedMarkerError(f"{path}:{number}: a fault marker stands above no test")
    if faults:
        raise MisplacedMarkerError(f"{path}: a fault marker stands above no test")


def python_tests(path: Path) -> Iterator[Test]:
    """The marked tests of a Python file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = {name: call for decorator in node.decorator_list for name, call in [_mark(decorator)] if name}
        if "fault" not in marks:
            continue
        call = marks["fault"]
        if call is None or not all(isinstance(word, ast.Constant) for word in call.args):
            raise MisplacedMarkerError(f'{path}:{node.lineno}: write @pytest.mark.fault("N01"), with plain texts')
        faults = tuple(str(word.value) for word in call.args if isinstance(word, ast.Constant))
        yield Test(path, node.name, faults, "N" if "long" in marks else "P")


def _mark(decorator: ast.expr) -> tuple[str, ast.Call | None]:
    """The name of a pytest mark, and its call."""
    call = decorator if isinstance(decorator, ast.Call) else None
    target = call.func if call else decorator
    text = ast.unparse(target)
    return (text.removeprefix("pytest.mark."), call) if text.startswith("pytest.mark.") else ("", None)


def find() -> list[Test]:
    """Every marked test of the tree, by path."""
    tests: list[Test] = []
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix == ".rs" and "Fault:" in path.read_text():
                tests += rust_tests(path)
            elif path.suffix == ".py":
                tests += python_tests(path)
    return tests


def covered(tests: list[Test]) -> dict[str, list[Test]]:
    """The tests of each fault."""
    by_fault: dict[str, list[Test]] = defaultdict(list)
    for test in tests:
        for fault in test.faults:
            by_fault[fault].append(test)
    return by_fault


def problems(by_fault: dict[str, list[Test]]) -> Iterator[str]:
    """What is wrong with the markers and the catalogue."""
    for fault, tests in by_fault.items():
        if fault not in FAULTS:
            path = tests[0].path.relative_to(ROOT)
            yield f"{path}: {tests[0].name} names fault {fault}, which is not in the catalogue"
        if fault in UNTESTED:
            yield f"{fault} has a test now: take it out of UNTESTED"
    for fault in FAULTS.keys() - by_fault.keys() - UNTESTED.keys():
        yield f"{fault} has no test ({FAULTS[fault].what})"
    for name, entry in FAULTS.items():
        found = by_fault.get(name, [])
        if entry.run == "P" and found and all(test.run == "N" for test in found):
            yield f"{name} belongs into `make test`, and only `make test-long` covers it"


def page(by_fault: dict[str, list[Test]]) -> str:
    """The page as it should be."""
    lines = [
        HEAD.rstrip(),
        "",
        f"{len(by_fault.keys() & FAULTS.keys())} of {len(FAULTS)} faults have tests; what is not shown yet is said.",
    ]
    for letter, title in GROUPS.items():
        lines += ["", f"## {title}", "", "| fault | what happens | what must be true | tests |", "|---|---|---|---|"]
        for name, fault in FAULTS.items():
            if name.startswith(letter):
                lines.append(f"| {name} | {fault.what} | {fault.must} | {_cell(name, fault, by_fault.get(name, []))} |")
    return "\n".join(lines) + "\n"


def _cell(name: str, fault: Fault, tests: list[Test]) -> str:
    by_file: dict[Path, list[Test]] = defaultdict(list)
    for test in tests:
        by_file[test.path].append(test)
    parts = []
    for path, group in by_file.items():
        link = f"[{path.relative_to(ROOT)}](../{path.relative_to(ROOT)})"
        names = ", ".join(f"`{test.name}`" + ("" if test.run == "P" else f" ({COMMANDS['N']})") for test in group)
        parts.append(f"{link}: {names}")
    if name in UNTESTED:
        parts.append(f"**no test yet**: {UNTESTED[name]}")
    elif fault.missing:
        parts.append(f"*not shown yet*: {fault.missing}")
    return "<br>".join(parts)


def main() -> int:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is wrong")
    arguments = parser.parse_args()
    try:
        by_fault = covered(find())
    except MisplacedMarkerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    wrong = list(problems(by_fault))
    text = page(by_fault)
    if arguments.check:
        if not PAGE.exists() or PAGE.read_text() != text:
            wrong.append("docs/reliability.md is stale: run `python docs/generate_reliability.py`")
    else:
        PAGE.write_text(text)
    sys.stderr.writelines(f"{problem}\n" for problem in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
