"""The command line.

Exit codes: 0 done, 1 it failed on the way, 2 it was asked for something that is not there or makes no sense, 130
interrupted.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, TextIO

import typer

from xtrader import __version__, build_info
from xtrader.cli.collect import collect
from xtrader.cli.demo import demo
from xtrader.cli.replay import replay
from xtrader.cli.simulate import simulate
from xtrader.errors import ConfigError, XTraderError, XTraderWarning

__all__ = ["app", "main"]

app = typer.Typer(
    name="xtrader",
    help="Exchange market data, exactly as it was: live and replayed through one engine, handed over as Arrow.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(collect)
app.command()(replay)
app.command()(simulate)


def _version(asked: bool) -> None:
    if asked:
        info = build_info()
        typer.echo(f"xtrader {__version__} (commit {info['commit']}, profile {info['profile']}, {info['target']})")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print version and build.")
    ] = False,
) -> None:
    pass


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, XTraderWarning):
        typer.echo(f"xtrader: warning: {message}", err=True)
    else:
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


def main() -> None:
    """Runs the command line; an error or a warning of ours is one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", XTraderWarning)
            warnings.showwarning = _show
            app()
    except XTraderError as error:
        typer.echo(f"xtrader: error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
