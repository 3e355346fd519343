"""What a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

# Progress and status go to stderr, results to stdout: either can be sent elsewhere.
WIDTH = 132
screen = Console(highlight=False)
if not screen.is_terminal:
    screen = Console(highlight=False, width=WIDTH)
status = Console(stderr=True, highlight=False)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, words: int = 1) -> None:
    """A table without frills: the first columns, `words` of them, to the left, numbers to the right."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="left" if index < words else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    screen.print(f"\n[bold]{title}[/bold]")
    screen.print(shown)


def summary(report: Mapping[str, Any], files: Sequence[Mapping[str, Any]] | None) -> None:
    """What became of every frame, row and book."""
    screen.print(
        f"{report['frames']:,} frames, {size(report['bytes'])} in {report['elapsed_s']:.2f} s: "
        f"[bold]{report['frames_per_s']:,.0f} frames/s[/bold]"
    )
    accounts(report["counters"])
    rows(report["rows"], files)
    books(report["books"])


def collected(report: Mapping[str, Any]) -> None:
    """What a collection brought."""
    frames = report["counters"]["frames"]["total"]
    screen.print(f"{frames:,} frames, {size(report['counters']['bytes'])} in {report['elapsed_s']:.1f} s")
    accounts(report["counters"])
    rows(report["rows"], report["files"])
    books(report["books"])
    arbitration(report)


def arbitration(report: Mapping[str, Any]) -> None:
    """What several connections to one stream gained against the best single one; nothing where there was one."""
    told = report["arbitration"]
    if told["lanes"]:
        unchecked = f", {told['unchecked']:,} copies too late to be compared" if told["unchecked"] else ""
        screen.print(f"\n{told['holes_healed']:,} holes healed, {told['conflicts']:,} conflicts found{unchecked}")
    for lane in told["lanes"]:
        gain = lane["gain_ms"]
        screen.print(
            f"\n[bold]{lane['exchange']}, {len(lane['connections'])} connections[/bold]: events came "
            f"{gain['p50']:.3f} ms (p50), {gain['p99']:.3f} ms (p99), {gain['p999']:.3f} ms (p99.9) earlier than on "
            f"the best single one, which missed {lane['holes_of_best']:,} of {lane['events']:,}"
        )
        table(
            f"connections of lane {lane['lane']}",
            ("place", "", "openings", "first", "copies", "missed", "wins", "behind p50 ms", "p99", "p99.9"),
            [
                (
                    str(one["place"]),
                    "best" if one["place"] == lane["best"] else "",
                    one["openings"],
                    one["wins"],
                    one["losses"],
                    one["missed"],
                    f"{one['win_share']:.1%}",
                    *(f"{one['behind_ms'][share]:.3f}" for share in ("p50", "p99", "p999")),
                )
                for one in lane["connections"]
            ],
            words=2,
        )


def rows(counts: Mapping[str, int], files: Sequence[Mapping[str, Any]] | None) -> None:
    """Rows per table, and what they are on disk."""
    if files is None:
        table("rows", ("table", "rows"), list(counts.items()))
        return
    stored = {name: [file for file in files if file["table"] == name] for name in counts}
    table(
        "rows",
        ("table", "rows", "files", "size"),
        [
            (name, count, len(stored[name]), size(sum(file["bytes"] for file in stored[name])))
            for name, count in counts.items()
        ],
    )


def accounts(counters: Mapping[str, Any]) -> None:
    """Where the frames and replies went, and the rows within frames unless all were taken; what is zero is left out."""
    told = {"frames": counters["frames"], "replies": counters["replies"]}
    within = counters["rows"]
    if within["total"] > within["accepted"]:
        told["rows within"] = within
    lines = [
        (outcome.replace("_", " "), *(counts.get(outcome, 0) for counts in told.values()))
        for outcome in ("accepted", "duplicate", "stale", "held", "held_dropped")
    ]
    for outcome in ("ignored", "rejected"):
        reasons = [counts.get(outcome, {}) for counts in told.values()]
        lines += [
            (f"{outcome}: {reason}", *(counts.get(reason, 0) for counts in reasons))
            for reason in sorted(set().union(*reasons))
        ]
    table("accounts", ("", *told), [line for line in lines if any(line[1:])])


def books(reports: Sequence[Mapping[str, Any]]) -> None:
    """State and best prices of every book."""
    if reports:
        table(
            "books",
            ("symbol", "state", "last id", "levels", "best bid", "best ask", "accepted", "stale", "gaps", "resyncs"),
            [
                (
                    book["symbol"],
                    book["state"],
                    "-" if book["last_id"] is None else str(book["last_id"]),
                    f"{book['levels']['bid']:,} + {book['levels']['ask']:,}",
                    book["top10_bid"][0][0] if book["top10_bid"] else "-",
                    book["top10_ask"][0][0] if book["top10_ask"] else "-",
                    book["accepted"],
                    book["stale"],
                    book["gaps"],
                    book["resyncs"],
                )
                for book in reports
            ],
        )
