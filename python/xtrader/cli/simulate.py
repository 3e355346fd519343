"""`xtrader simulate`."""

from __future__ import annotations

import json as json_text
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from xtrader.cli import options
from xtrader.cli.signals import Stop, stopping
from xtrader.errors import ConfigError, XTraderError
from xtrader.simulation import Simulator


def simulate(
    exchange: Annotated[
        str | None, typer.Option(help="binance-futures (the default), binance-spot, okx or deribit.", metavar="NAME")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON file with what differs from the defaults, faults included.", dir_okay=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same market.", min=0)] = None,
    symbols: Annotated[str | None, typer.Option(help="Instruments, by commas.", metavar="SYMBOL,…")] = None,
    capture: Annotated[Path | None, typer.Option(help="Play a recorded capture instead of a made-up market.")] = None,
    speed: Annotated[float, typer.Option(help="Speed of the capture: 1 is as recorded.")] = 1.0,
    ws_port: Annotated[int | None, typer.Option(help="Port of the WebSocket server; else a free one.")] = None,
    rest_port: Annotated[int | None, typer.Option(help="Port of the REST server; else a free one.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after so long; else at SIGINT or SIGTERM.", metavar="S", min=0)
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record what a plain client sees, as a capture; 10 s unless --seconds is given.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Write down what really happened, at the end.", metavar="DIR")
    ] = None,
) -> None:
    """Run an exchange at home: real protocol, real sockets, faults on request."""
    given = options.given(
        exchange=exchange,
        seed=seed,
        symbols=None if symbols is None else [symbol for symbol in symbols.split(",") if symbol],
        source=None if capture is None else {"capture": {"path": str(capture), "speed": speed}},
        ws_port=ws_port,
        rest_port=rest_port,
    )
    with stopping() as stop, Simulator(**{**_file(config), **given}) as simulator:
        addresses = {"ws": simulator.ws_url, "rest": simulator.rest_url}
        # One line that a script can read; the addresses are known only now.
        typer.echo(json_text.dumps(addresses))
        if record is None:
            stop.wait(seconds)
        else:
            _record(simulator, record, 10.0 if seconds is None else seconds, stop)
        if truth is not None:
            simulator.write_truth(truth)


def _file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = json_text.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: it takes a JSON object")
    return values


def _record(simulator: Simulator, path: Path, seconds: float, stop: Stop) -> None:
    """Recording blocks, and signals are heard on the main thread alone."""
    result: list[dict[str, Any] | XTraderError] = []

    def run() -> None:
        try:
            result.append(simulator.record(path, seconds))
        except XTraderError as error:
            result.append(error)

    thread = threading.Thread(target=run, name="record", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.told:
        thread.join(0.1)
    for outcome in result:
        if isinstance(outcome, XTraderError):
            raise outcome
        typer.echo(json_text.dumps(outcome))
