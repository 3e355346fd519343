"""What can be asked for: frozen models that refuse unknown keys.

The engine checks what it is told (exchange, streams, tables, symbols) and names what there is; these models give the
settings their types, defaults and documentation. A validated model goes to the engine as JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xtrader.errors import ConfigError

__all__ = [
    "BatchLimits",
    "BookLimits",
    "Deadlines",
    "DepthSpeed",
    "Endpoints",
    "Numeric",
    "SizeUnit",
    "TradeSource",
]

Numeric = Literal["float", "decimal", "fixed"]
SizeUnit = Literal["base", "native"]
TradeSource = Literal["auto", "agg_trade", "trade"]
DepthSpeed = Literal["0ms", "100ms", "250ms", "500ms"]


def _words(value: object) -> object:
    """`"trades,l2"` and `["trades", "l2"]` mean the same."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class Settings(BaseModel):
    """Base of every model: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def checked(cls, **values: Any) -> Self:  # noqa: ANN401 - pydantic checks the types
        """Validates `values`.

        Raises:
            ConfigError: one line for each value that is wrong, with the path of its key.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            lines = (
                f"{'.'.join(map(str, problem['loc']))}: {_remedy(problem['type'], problem['msg'])}"
                for problem in error.errors(include_url=False)
            )
            raise ConfigError("configuration: " + "; ".join(lines)) from error


def _remedy(kind: str, message: str) -> str:
    return "there is no such key" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


class Endpoints(Settings):
    """Addresses of the exchange: itself, a testnet or the simulator. Plain `ws://` and `http://` only to loopback."""

    ws: str
    """WebSocket base without the path family, e.g. `wss://fstream.binance.com`."""
    rest: str
    """REST base, e.g. `https://fapi.binance.com`."""


class BatchLimits(Settings):
    """When a batch closes, at the latest; it closes earlier when the sockets have nothing more to read.

    Larger batches cost memory and delay, smaller ones cost time per row.
    """

    max_rows: int = Field(8192, ge=1, le=1 << 20)
    """Rows in one batch of one table, 1 to 1 048 576."""
    max_bytes: int = Field(4 << 20, ge=64 << 10, le=1 << 30)
    """Bytes in one batch of one table, 64 KiB to 1 GiB."""
    max_delay_ms: int = Field(5, ge=0, le=60_000)
    """Milliseconds that the oldest row may wait while the consumer is behind, 0 to 60 000."""


class BookLimits(Settings):
    """Rules for order books."""

    checkpoint_interval_s: int = Field(3600, ge=1, le=86_400)
    """Seconds between full-book rows (`source = checkpoint`), beside the one at every UTC day; 1 to 86 400.
    Shorter makes stored days quicker to enter and larger."""
    heal_window_ms: int = Field(250, ge=0, le=60_000)
    """Milliseconds that an early event waits for another connection to fill the hole, 0 to 60 000."""
    max_held_events: int = Field(4096, ge=1, le=1 << 20)
    """Events that one book may hold while it waits for a snapshot or a bridge, 1 to 1 048 576. Beyond it the oldest is
    dropped and counted."""
    max_levels: int = Field(1 << 20, ge=1, le=1 << 22)
    """Levels that one message may carry, 1 to 4 194 304; more is rejected and counted."""


class Deadlines(Settings):
    """Deadlines that judge a peer. Live only: a recording cannot answer what was never asked."""

    ack_ms: int = Field(10_000, ge=1)
    """Milliseconds from SUBSCRIBE to its answer."""
    first_data_ms: int = Field(30_000, ge=1)
    """Milliseconds from SUBSCRIBE to the first data frame of each stream. An ack proves nothing."""
    silence_ms: int = Field(30_000, ge=1)
    """Milliseconds without any data frame after which a connection is dropped, pings or not."""
    stream_silence_ms: int = Field(60_000, ge=1)
    """Milliseconds without a frame after which one stream is probed by REST: quiet or dead?"""
    http_ms: int = Field(10_000, ge=1)
    """Milliseconds that a REST reply may take."""
    backoff_base_ms: int = Field(500, ge=1)
    """First upper bound of the full-jitter backoff, milliseconds."""
    backoff_cap_ms: int = Field(30_000, ge=1)
    """Largest upper bound of the backoff, milliseconds."""
