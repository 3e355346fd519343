"""Options that several commands share. What their words may be, the engine says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xtrader._native import streams, tables
from xtrader.config import DepthSpeed, Numeric, SizeUnit, StreamConfig, TradeSource

STREAMS = ", ".join(streams())
DEFAULT_TABLES = ",".join(StreamConfig.model_fields["tables"].default)

Tables = Annotated[str, typer.Option(help=f"Tables to fill, by commas, of: {', '.join(tables())}.", metavar="TABLE,…")]
Numbers = Annotated[Numeric | None, typer.Option("--numeric", help="How prices and sizes stand in the tables.")]
Units = Annotated[SizeUnit | None, typer.Option("--size-unit", help="What a size counts.")]
Trades = Annotated[TradeSource | None, typer.Option("--trade-source", help="Which of two trade feeds.")]
Depth = Annotated[DepthSpeed | None, typer.Option("--depth-speed", help="Which book stream.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write Parquet below this folder.", metavar="DIR", file_okay=False)
]


def given(**options: object) -> dict[str, object]:
    """The options that were given: what was not is left to its default."""
    return {key: value for key, value in options.items() if value is not None}
