"""Draws what `benches/pipeline.py --json` measured: nanoseconds per frame by stage, beside `orjson.loads`.

    python benches/chart.py [RESULTS.json [CHART.svg]]

By default it reads `benches/results/pipeline.json` and writes `pipeline.svg` beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

RESULTS = Path(__file__).parent / "results" / "pipeline.json"

# Stages are cumulative in the results; a bar shows what each one adds.
STAGES = {"peek": "#1b4965", "decode": "#3a7ca5", "book": "#81b4d8", "columns": "#c5dff0"}
YARDSTICKS = {"orjson_loads": ("orjson.loads", "#b8b8b8"), "simd_json_tape": ("simd-json (tape)", "#d9d9d9")}

WIDTH, LEFT, RIGHT = 860, 170, 110
BAR, BETWEEN, GROUP, TOP, BOTTOM = 18, 6, 54, 62, 34


def chart(results: dict[str, Any]) -> str:
    """The chart as SVG."""
    captures = results["captures"]
    if not captures:
        raise SystemExit("chart: the results hold no capture")
    longest = max(float(capture[key]) for capture in captures for key in [*YARDSTICKS, "columns"])
    scale = (WIDTH - LEFT - RIGHT) / longest
    group = GROUP + (len(YARDSTICKS) + 1) * (BAR + BETWEEN)
    height = TOP + group * len(captures) + BOTTOM
    parts = _legend()
    top = TOP
    for capture in captures:
        frames = f"{capture['frames']:,} frames, {capture['bytes'] / capture['frames']:,.0f} bytes each on average"
        parts.append(text(16, top + 22, f"{_name(capture['capture'])}: {frames}", weight="600"))
        y = top + 34
        for key, (label, colour) in YARDSTICKS.items():
            parts += _bar(y, label, [(float(capture[key]), colour)], scale, float(capture[key]), None)
            y += BAR + BETWEEN
        totals = [float(capture[stage]) for stage in STAGES]
        added = [total - before for total, before in zip(totals, [0.0, *totals], strict=False)]
        segments = list(zip((max(ns, 0.0) for ns in added), STAGES.values(), strict=True))
        parts += _bar(y, "XTrader", segments, scale, totals[-1], totals[-1] / float(capture["orjson_loads"]))
        top += group
    parts.append(
        text(16, height - 12, "Measured by `make bench`, one core, best of several rounds, one run.", fill="#666")
    )
    heading = "Nanoseconds per frame: text of a frame to rows of Arrow columns"
    return page("Nanoseconds per frame, by stage", heading, height, parts)


def page(title: str, heading: str, height: int, parts: Sequence[str]) -> str:
    """A page as SVG: what stands below its heading."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        '<g font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(16, 26, heading, weight="600", size=15),
    ]
    return "\n".join([*head, *parts, "</g>", "</svg>"]) + "\n"


def _bar(  # noqa: PLR0917 - all of them are the bar
    y: float, label: str, segments: list[tuple[float, str]], scale: float, total: float, ratio: float | None
) -> list[str]:
    parts = [text(LEFT - 10, y + BAR - 5, label, anchor="end")]
    x = float(LEFT)
    for ns, colour in segments:
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{ns * scale:.1f}" height="{BAR}" fill="{colour}"/>')
        x += ns * scale
    told = f"{total:,.0f} ns" + (f" ({ratio:.2f} of it)" if ratio is not None else "")
    return [*parts, text(x + 6, y + BAR - 5, told)]


def _legend() -> list[str]:
    parts, x = [], float(LEFT)
    for stage, colour in STAGES.items():
        parts += [f'<rect x="{x:.0f}" y="40" width="12" height="12" fill="{colour}"/>', text(x + 17, 51, stage)]
        x += 90
    return parts


def text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400", size: int = 13, fill: str = "#222"
) -> str:
    """A text as SVG."""
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _name(path: str) -> str:
    return f"{Path(path).parent.name}/{Path(path).name.split('.jsonl')[0]}"


def main(arguments: list[str]) -> None:
    """Reads the results and writes the chart."""
    source = Path(arguments[0]) if arguments else RESULTS
    target = Path(arguments[1]) if len(arguments) > 1 else source.with_suffix(".svg")
    if not source.exists():
        raise SystemExit(
            f"chart: {source} is not there; write it by `python benches/pipeline.py --json CAPTURE… > {source}`"
        )
    target.write_text(chart(json.loads(source.read_text())))
    print(target)


if __name__ == "__main__":
    main(sys.argv[1:])
