"""What several connections gain: latency with 1, 2, 3 and 4 of them, by quantile, and the chart of it.

    .venv/bin/python benches/gain.py [--json] [--seconds N] [--seed N] [--write]

A binary that `make build` leaves runs the engine in virtual time: every copy arrives by the model of
`benches/arbitration/paths.rs`, and what counts is the receive time of the row less the time the exchange sent it. No
socket and no clock is in it, so the figures are the same on every machine. `--write` keeps them as
`benches/results/gain.json` and draws `gain.svg` beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from arbitration import BINARY, native
from chart import BAR, BETWEEN, LEFT, RIGHT, WIDTH, page, text
from pipeline import BenchError

RESULTS = Path(__file__).parent / "results" / "gain.json"

COLOURS = ("#b8b8b8", "#81b4d8", "#3a7ca5", "#1b4965")
GROUP, TOP, BOTTOM = 30, 48, 88
MODEL = (
    "Engine in virtual time. The exchange's part, common to all connections: lognormal, median 0.3 ms, sigma 0.5.",
    "Of each its own: lognormal, median 0.5 ms, sigma 0.8, and every 2 s on average a stall (Pareto from 2 ms,",
    "exponent 1.5, at most 250 ms). Nothing overtakes on one connection.",
)


def told(quantile: str) -> str:
    """`p99_9` as people write it."""
    return quantile.replace("_", ".")


def chart(results: dict[str, Any]) -> str:
    """The chart as SVG."""
    rows = results["gain"]
    quantiles = list(rows[0]["latency_us"])
    scale = (WIDTH - LEFT - RIGHT) / max(float(us) for row in rows for us in row["latency_us"].values())
    group = GROUP + len(rows) * (BAR + BETWEEN)
    height = TOP + group * len(quantiles) + BOTTOM
    parts = []
    y = float(TOP)
    for quantile in quantiles:
        parts.append(text(16, y + 18, told(quantile), weight="600"))
        y += GROUP - 4
        alone = float(rows[0]["latency_us"][quantile])
        for row, colour in zip(rows, COLOURS, strict=False):
            us, connections = float(row["latency_us"][quantile]), row["connections"]
            label = "1 connection" if connections == 1 else f"{connections} connections"
            value = f"{us / 1000:.2f} ms" + ("" if connections == 1 else f" ({us / alone:.2f} of one's)")
            parts += [
                text(LEFT - 10, y + BAR - 5, label, anchor="end"),
                f'<rect x="{LEFT}" y="{y}" width="{us * scale:.1f}" height="{BAR}" fill="{colour}"/>',
                text(LEFT + us * scale + 6, y + BAR - 5, value),
            ]
            y += BAR + BETWEEN
        y += 4
    events = (
        f"{results['events']:,} events, {results['events_per_s']:g} a second; seed {results['seed']}. benches/gain.py."
    )
    parts += [text(16, y + 22 + 16 * n, line, size=12, fill="#666") for n, line in enumerate((*MODEL, events))]
    heading = "Milliseconds from the exchange's sending until the row, by connections"
    return page("Latency by connections and quantile", heading, height, parts)


def table(results: dict[str, Any]) -> str:
    """The results for people."""
    quantiles = list(results["gain"][0]["latency_us"])
    lines = [f"{'latency, ms':<14}" + "".join(f"{told(quantile):>9}" for quantile in quantiles)]
    for row in results["gain"]:
        values = "".join(f"{row['latency_us'][quantile] / 1000:>9.2f}" for quantile in quantiles)
        lines.append(f"{row['connections']} connection{'s' if row['connections'] > 1 else '':<2}{values}")
    return "\n".join(lines)


def main(given: list[str]) -> None:
    """Runs, prints, and draws."""
    parser = argparse.ArgumentParser(prog="gain.py", description="Latency per event with 1 to 4 connections.")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.add_argument("--seconds", type=int, default=600, help="seconds of virtual time (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all randomness (default 1)")
    parser.add_argument("--write", action="store_true", help=f"keep the results in {RESULTS.name} and draw the chart")
    arguments = parser.parse_args(given)
    if arguments.seconds < 1 or arguments.seed < 0:
        parser.error("--seconds: at least 1; --seed: at least 0")
    if not BINARY.exists():
        raise SystemExit(f"gain: {BINARY} is not there; run `make build`")
    try:
        results = native("gain", "--seconds", str(arguments.seconds), "--seed", str(arguments.seed))
    except BenchError as error:
        raise SystemExit(f"gain: {error}") from error
    if arguments.write:
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        RESULTS.with_suffix(".svg").write_text(chart(results))
    print(json.dumps(results, indent=2) if arguments.json else table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
