"""Options that several commands share. What their words may be, the engine says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from xtrader._native import streams, tables
from xtrader.config import DepthSpeed, Numeric, SizeUnit, TradeSource
from xtrader.errors import ConfigError

STREAMS = ", ".join(streams())
TABLES = ", ".join(tables())
DEFAULT_TABLES = "trades,l2,bbo,gaps,instruments"


def words(given: str | None) -> str | None:
    """Refuses a list that names nothing: it would ask for work whose result nobody sees."""
    if given is not None and not given.replace(",", " ").strip():
        raise typer.BadParameter("it is empty: name at least one, or leave the option out")
    return given


def folder(text: str) -> Path:
    """A folder to write to; an empty text is a variable that was not set, and not this folder."""
    if not text:
        raise typer.BadParameter("it is empty: name a folder, '.' for this one")
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{text} is a file: name a folder")
    return path


Folder = typer.Option("--out", help="Write Parquet below this folder.", metavar="DIR", parser=folder)
Tables = Annotated[
    str, typer.Option(help=f"Tables to fill, by commas, of: {TABLES}.", metavar="TABLE,…", callback=words)
]
Numbers = Annotated[Numeric | None, typer.Option("--numeric", help="How prices and sizes stand in the tables.")]
Units = Annotated[SizeUnit | None, typer.Option("--size-unit", help="What a size counts.")]
Trades = Annotated[TradeSource | None, typer.Option("--trade-source", help="Which of two trade feeds.")]
Depth = Annotated[DepthSpeed | None, typer.Option("--depth-speed", help="Which book stream.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting, by its path in the configuration: book.heal_window_ms=500. As often as needed; 'none' "
        "is none.",
        metavar="KEY=VALUE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Out = Annotated[Path | None, Folder]


def given(**options: object) -> dict[str, Any]:
    """The options that were given: what was not is left to its default."""
    return {key: value for key, value in options.items() if value is not None}


def settings(
    given: dict[str, Any], more: Sequence[str] | None, preferred: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """What was given by options of their own and, by path, with `--set`. What the values may be, the models say.

    `preferred` is what a command would rather have than the defaults.
    """
    for text in more or []:
        path, is_value, value = text.partition("=")
        *groups, key = path.split(".")
        if not is_value or not all((*groups, key)):
            # What was given may be a secret in the wrong place: it is not repeated.
            raise ConfigError("--set takes KEY=VALUE, with the whole path of the key: book.heal_window_ms=500")
        place: Any = given
        for group in groups:
            place = place.setdefault(group, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or key in place:
            raise ConfigError(f"--set {path}: it is given twice, here or by an option of its own")
        place[key] = None if value == "none" else value
    _fill(given, preferred or {})
    return given


def _fill(values: dict[str, Any], preferred: Mapping[str, Any]) -> None:
    for key, value in preferred.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _fill(values[key], value)
        else:
            values.setdefault(key, value)


def endpoints(ws: Sequence[str], rest: Sequence[str]) -> Mapping[str, object] | None:
    """Addresses of the one exchange there is, or by exchange; none where none is given."""
    sockets, http = _by_exchange("--ws", ws), _by_exchange("--rest", rest)
    if sockets.keys() != http.keys():
        raise ConfigError("--ws and --rest go together: books and reference data need both")
    return _plain({exchange: {"ws": url, "rest": http[exchange]} for exchange, url in sockets.items()})


def login(given: Sequence[str]) -> Mapping[str, object] | None:
    """Places of credentials, of the one exchange there is or by exchange."""
    each = {}
    for exchange, text in _by_exchange("--login", given).items():
        kind, _, place = text.partition(":")
        if kind not in {"env", "file"} or not place:
            # What was given may be the secret itself: it is not repeated.
            raise ConfigError("--login takes env:PREFIX or file:PATH, for one of several exchanges EXCHANGE=env:PREFIX")
        each[exchange] = {kind: place}
    return _plain(each)


def _by_exchange(option: str, given: Sequence[str]) -> dict[str, str]:
    """`VALUE`, under the empty name, or any number of `EXCHANGE=VALUE`."""
    values: dict[str, str] = {}
    for text in given:
        named = re.fullmatch(r"([a-z][a-z0-9-]*)=(.*)", text)
        exchange, value = named.groups() if named else ("", text)
        if exchange in values or (values and "" in {exchange, *values}):
            raise ConfigError(f"{option} is given twice for one exchange; of several write EXCHANGE=VALUE for each")
        values[exchange] = value
    return values


def _plain(each: Mapping[str, Mapping[str, str]]) -> Mapping[str, object] | None:
    """What each exchange has, as `StreamConfig` takes it."""
    return each.get("", each) or None
