"""What can be asked for: frozen models that refuse unknown keys.

The engine checks what it is told (exchange, streams, tables, symbols) and names what there is; these models give the
settings their types, defaults and documentation. A validated model goes to the engine as JSON.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from xtrader.errors import ConfigError

__all__ = [
    "Arbitration",
    "BatchLimits",
    "BookLimits",
    "Deadlines",
    "DedupLimits",
    "DepthSpeed",
    "Endpoints",
    "Login",
    "NetLimits",
    "Numeric",
    "Policy",
    "ReplayConfig",
    "ReplayOptions",
    "RestLimits",
    "SizeUnit",
    "Speed",
    "StreamConfig",
    "StreamOptions",
    "Timestamps",
    "TopLimits",
    "TradeSource",
]

Numeric = Literal["float", "decimal", "fixed"]
SizeUnit = Literal["base", "native"]
TradeSource = Literal["auto", "agg_trade", "trade"]
DepthSpeed = Literal["auto", "raw", "0ms", "10ms", "100ms", "250ms", "500ms", "1000ms", "agg2"]
Policy = Literal["block", "drop_oldest", "drop_newest"]
Timestamps = Literal["user", "kernel"]
Speed = Literal["max", "1"]
SpeedGiven = Literal["max", "1", 1]


def _words(value: object) -> object:
    """`"trades,l2"` and `["trades", "l2"]` mean the same."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _speed(value: object) -> object:
    """`1` and `"1"` mean the same."""
    return "1" if value == 1 and not isinstance(value, bool) else value


def _subscriptions(value: object) -> object:
    """Commas part subscriptions as they part words; the one in `okx-swap:kind=perpetual,quote=USDT` does not."""
    given = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        return value
    parts = (part.strip(", ") for text in texts for part in re.split(r",(?=[^,=:]*:)", text))
    return tuple(part for part in parts if part)


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Milliseconds = Annotated[int, Field(ge=1, le=3_600_000)]


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
                f"{_path(problem['loc'])}: {_remedy(problem['type'], problem['msg'])}"
                for problem in error.errors(include_url=False)
            )
            raise ConfigError("configuration: " + "; ".join(lines)) from error


# How a setting of one exchange is given: plainly, or by exchange. No key, so no part of a path.
_PLAIN, _BY_EXCHANGE = "(plain)", "(by exchange)"


def _path(parts: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in parts if part not in {_PLAIN, _BY_EXCHANGE})


def _remedy(kind: str, message: str) -> str:
    return "there is no such key" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


class Endpoints(Settings):
    """Addresses of the exchange: itself, a testnet or the simulator. Plain `ws://` and `http://` only to loopback."""

    ws: str
    """WebSocket base without the path family, e.g. `wss://fstream.binance.com`."""
    rest: str
    """REST base, e.g. `https://fapi.binance.com`."""


class Login(Settings):
    """Where credentials come from. They are read when the stream starts, and shown nowhere: no log, error or table."""

    env: str | None = None
    """Environment variables of this prefix: `OKX` means `OKX_KEY`, `OKX_SECRET` and, where the exchange has one,
    `OKX_PASSPHRASE`."""
    file: Path | None = None
    """A file with `key`, `secret` and, where the exchange has one, `passphrase`: a JSON object, or lines `KEY=VALUE`.
    Refused where every user of the machine may read it."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('name one place: {"env": PREFIX} or {"file": PATH}')
        return self

    @model_serializer
    def _native(self) -> dict[str, str]:
        return {"env": self.env} if self.env is not None else {"file": str(self.file)}


def _form(keys: frozenset[str]) -> Discriminator:
    """Tells a setting of one exchange from settings by exchange: only the latter has names of exchanges for keys."""

    def form(value: object) -> str:
        return _PLAIN if not isinstance(value, Mapping) or keys & value.keys() else _BY_EXCHANGE

    return Discriminator(form)


EachEndpoints = Annotated[
    Annotated[Endpoints, Tag(_PLAIN)] | Annotated[dict[str, Endpoints], Tag(_BY_EXCHANGE)],
    _form(frozenset(Endpoints.model_fields)),
]
EachLogin = Annotated[
    Annotated[Login, Tag(_PLAIN)] | Annotated[dict[str, Login], Tag(_BY_EXCHANGE)],
    _form(frozenset(Login.model_fields)),
]


class BatchLimits(Settings):
    """When a batch closes, at the latest; it closes earlier when the sockets have nothing more to read.

    Larger batches cost memory and delay, smaller ones cost time per row.
    """

    max_rows: int = Field(8192, ge=1, le=1 << 20)
    """Rows in one batch of one table, 1 to 1 048 576."""
    max_bytes: int = Field(1 << 20, ge=64 << 10, le=1 << 30)
    """Bytes in one batch of one table, 64 KiB to 1 GiB."""
    max_delay_ms: int = Field(5, ge=0, le=60_000)
    """Milliseconds that the oldest row may wait while the consumer is behind, 0 to 60 000."""


class BookLimits(Settings):
    """Rules for order books."""

    checkpoint_interval_s: int = Field(3600, ge=1, le=86_400)
    """Seconds between full-book rows (`source = checkpoint`), beside the one at every UTC day; 1 to 86 400.
    Shorter makes stored days quicker to enter and larger."""
    heal_window_ms: int = Field(250, ge=0, le=60_000)
    """Milliseconds that an early event waits for another connection to fill the hole, 0 to 60 000.
    So long the rows of a book behind a hole come late, at worst, and a hole in the trades is named late; shorter, and
    what another connection would have brought becomes a gap, and a book is asked for anew. Alone a connection waits for
    nobody."""
    max_held_events: int = Field(4096, ge=1, le=1 << 20)
    """Events that one book may hold while it waits for a snapshot or a bridge, 1 to 1 048 576. Beyond it the oldest is
    dropped and counted."""
    max_held_levels: int = Field(1 << 20, ge=1, le=1 << 26)
    """Levels (16 bytes each) that the held events of one book may carry together, 1 to 67 108 864; as above beyond."""
    max_levels: int = Field(1 << 20, ge=1, le=1 << 22)
    """Levels that one message may carry, 1 to 4 194 304; more is rejected and counted."""


class DedupLimits(Settings):
    """Memory of ids that have no order.

    What is forgotten before its time is counted and is a row of `gaps`, since from then on a repetition might pass.
    """

    per_symbol: int = Field(1024, ge=16, le=1 << 20)
    """Ids kept for one stream of one symbol, 16 to 1 048 576."""
    total: int = Field(65_536, ge=16, le=1 << 24)
    """Ids kept for one exchange, 16 to 16 777 216. Memory: about 100 bytes each."""
    ttl_s: int = Field(600, ge=1, le=86_400)
    """Seconds that an id is remembered, 1 to 86 400."""


class Arbitration(Settings):
    """Rules for several connections to one stream."""

    ramp_ms: int = Field(1000, ge=0, le=600_000)
    """Milliseconds between the opening of one connection and of the next that carries the same streams, 0 to 600 000; a
    tenth of it where all of them are down. Connections of one moment would be cut in one moment, too."""
    max_age_s: int | None = Field(None, ge=1, le=2_592_000)
    """Seconds that a connection lives before another takes its place, 1 to 2 592 000, less up to a fifth by chance, and
    never more than nine tenths of what the exchange allows; none is that, and for ever where it sets no limit. Cost:
    one more connection for a moment."""
    dwell_s: int | None = Field(300, ge=1, le=86_400)
    """Seconds that a connection must have been compared with the others before it may be replaced for being worse, 1 to
    86 400; none is never. Some 700 events that they have in common must fall into that time: on fewer nobody is
    judged."""
    verify: str = Field("1/1024", pattern=r"^(off|all|1/[1-9][0-9]{0,6})$")
    """How many of the copies that lost are compared with the winner, to find an exchange that tells two things under
    one id: `off`, `all`, or one of N, 2 to 1 000 000 (`1/N`). Cost: each that is compared is decoded."""
    dedup: DedupLimits = DedupLimits()
    """Memory of ids that have no order."""
    recover_trades: int = Field(5000, ge=0, le=100_000)
    """Ids of one hole that are fetched by REST at most, where no connection brought them and the exchange keeps them, 0
    to 100 000; 0 fetches none. Cost: requests, from the budget of `rest`."""
    ledger_interval_s: int = Field(60, ge=1, le=86_400)
    """Seconds between two rows of `connections` of one connection, 1 to 86 400."""


class TopLimits(Settings):
    """The sampled best levels (`l2_top`)."""

    depth: int = Field(10, ge=1, le=1000)
    """Levels a side, 1 to 1000. Cost: so many numbers a row, times four."""
    interval_ms: int = Field(100, ge=1, le=3_600_000)
    """Milliseconds between two samples of one book, 1 to 3 600 000. A book that has not changed since gives no row."""


class Deadlines(Settings):
    """Deadlines that judge a peer, each 1 ms to an hour. Live only: a recording cannot answer what was never asked."""

    ack_ms: Milliseconds = 10_000
    """Milliseconds from SUBSCRIBE to its answer."""
    first_data_ms: Milliseconds = 30_000
    """Milliseconds from SUBSCRIBE to the first data frame of each stream. An ack proves nothing."""
    silence_ms: Milliseconds = 30_000
    """Milliseconds without any data frame after which a connection is asked something that it must answer within
    `ack_ms`, and its streams are compared with REST: a dead connection is given up, a quiet market is left alone."""
    stream_silence_ms: Milliseconds = 60_000
    """Milliseconds without a frame after which one stream is probed by REST: quiet or dead?"""
    http_ms: Milliseconds = 10_000
    """Milliseconds that a REST reply may take."""
    backoff_base_ms: Milliseconds = 500
    """First upper bound of the full-jitter backoff, milliseconds; at most `backoff_cap_ms`."""
    backoff_cap_ms: Milliseconds = 30_000
    """Largest upper bound of the backoff, milliseconds."""


class NetLimits(Settings):
    """Bounds of every connection."""

    connect_ms: int = Field(10_000, ge=1, le=600_000)
    """Milliseconds for name, TCP, TLS and upgrade together, 1 to 600 000."""
    address_ms: int = Field(3_000, ge=1, le=600_000)
    """Milliseconds that one address may take to accept before the next is tried, 1 to 600 000."""
    write_ms: int = Field(5_000, ge=1, le=600_000)
    """Milliseconds that our bytes may wait for a peer that does not read, 1 to 600 000."""
    assembly_ms: int = Field(10_000, ge=1, le=600_000)
    """Milliseconds from the first byte of a message to its last, 1 to 600 000."""
    close_ms: int = Field(500, ge=0, le=60_000)
    """Milliseconds that a polite close may take, 0 to 60 000. Stopping takes no longer than this."""
    max_message_bytes: int = Field(16 << 20, ge=1 << 10, le=1 << 30)
    """Bytes of one message, 1 KiB to 1 GiB; more is refused from the header. Memory: up to twice this per connection
    while such a message arrives."""
    max_write_bytes: int = Field(256 << 10, ge=1 << 10, le=1 << 30)
    """Bytes of ours that may wait on one connection, 1 KiB to 1 GiB."""
    read_buffer_bytes: int = Field(64 << 10, ge=8 << 10, le=16 << 20)
    """Bytes that one read takes at most, 8 KiB to 16 MiB. Memory: this much per connection."""
    recv_buffer_bytes: int | None = Field(None, ge=4 << 10, le=1 << 30)
    """Bytes of the kernel's receive buffer, 4 KiB to 1 GiB; none leaves it to the kernel, which adapts it."""
    messages_per_s: int | None = Field(None, ge=1, le=1000)
    """Messages of ours per second and connection, pongs included, 1 to 1000; none takes four fifths of what the
    exchange allows."""
    connects_per_5min: int | None = Field(None, ge=1, le=100_000)
    """Connections opened per five minutes and host, by the whole process, 1 to 100 000; none takes four fifths of what
    the exchange allows, in its own window."""
    timestamps: Timestamps = "user"
    """Whose clock says when data came: this program's, when its read returns, or the kernel's, when the bytes arrived
    (`kernel`; the network card's where it notes them and its clock follows the system's). Linux only; where there is
    none, this program's: `stamp_source` tells which one a connection has. Cost: less than a microsecond for each
    read."""
    local_addresses: Words = ()
    """Addresses of this machine that connections leave by, at most 64: the n-th connection to one stream by the n-th of
    them that has the family of the exchange's address, and round again. None leaves it to the system. REST is not
    concerned."""


class RestLimits(Settings):
    """Bounds of REST, shared by all streams of the process that talk to the same host."""

    weight_per_min: int | None = Field(None, ge=1, le=1_000_000)
    """Weight spent per minute and host, by the whole process, 1 to 1 000 000, spread over the windows in which the
    exchange counts; none takes four fifths of what the exchange allows, half of it where its windows are shorter than
    a minute. The rest is left to others behind the same address."""
    max_concurrent: int = Field(4, ge=1, le=64)
    """Requests under way at once, 1 to 64."""
    max_waiting: int = Field(4096, ge=1, le=65_536)
    """Requests that wait for their turn, 1 to 65 536; more fail at once."""
    max_body_bytes: int = Field(16 << 20, ge=1 << 10, le=1 << 30)
    """Bytes of one reply, decompressed, 1 KiB to 1 GiB; more is refused."""


class StreamConfig(Settings):
    """One live stream: what to take, in which form, and what happens to a consumer that is behind."""

    subscriptions: Annotated[tuple[str, ...], BeforeValidator(_subscriptions)]
    """What to take, as `EXCHANGE:SYMBOL`. The symbol is the unified one (`okx-swap:BTCUSDT`), the exchange's own
    (`okx:BTC-USDT-SWAP`), a pattern (`binance-spot:*USDT`) or conditions (`okx-swap:kind=perpetual,quote=USDT`).
    Several exchanges make several shards: each has a thread of its own, and a number in the column `shard`."""
    streams: Words = ("trades", "l2")
    """Streams of each symbol, of those that the exchange offers; `xtrader.streams()` are all there are. Where several
    exchanges are subscribed, one that does not offer a stream goes without it, with a warning; a stream that none
    offers is refused. Each costs the exchange's own rate of frames; `bbo` is the busiest."""
    tables: Words = (
        "trades",
        "l2",
        "bbo",
        "gaps",
        "instruments",
        "l2_top",
        "derivatives",
        "options",
        "liquidations",
        "connections",
    )
    """Tables to fill, of `xtrader.tables()`; one whose stream is not asked for stays empty. `levels` and `raw` cost
    about as much again as what they repeat."""
    numeric: Numeric = "float"
    """How prices and sizes stand in the tables: `float64`, `decimal128(38, 18)`, or mantissas with their scale. `fixed`
    holds no base units of inverse contracts: by name they are refused, of a pattern left out."""
    size_unit: SizeUnit = "base"
    """What a size counts: base units, or the exchange's own (contracts, or quote units of inverse ones)."""
    connections: int = Field(1, ge=1, le=16)
    """Connections that carry each stream, 1 to 16: of what comes on several the first arrival counts. Each costs the
    exchange's whole rate of bytes, and one connection of what it allows."""
    arbitration: Arbitration = Arbitration()
    """Rules for several connections to one stream."""
    trade_source: TradeSource = "auto"
    """Which trade feed, of those that the exchange offers: its usual one (`auto`), fills of one order in one row
    (`agg_trade`; Binance, OKX), or single fills (`trade`; all; of Binance USDⓈ-M undocumented and about 100 ms
    earlier)."""
    depth_speed: DepthSpeed = "auto"
    """Which book stream, of those that the exchange offers: `auto` takes its best documented one that needs no login,
    with `login` the best there is. `raw` (Deribit) falls back to `100ms` without `login`, with a warning; `10ms` (OKX)
    takes a login and a fee tier; `0ms` (Binance USDⓈ-M) is undocumented and several times the frames."""
    login: EachLogin | None = None
    """Where the credentials are, to log in before subscribing, where an exchange has streams that take it: of the one
    exchange there is (`{"env": "DERIBIT"}`), or by exchange (`{"deribit": {"env": "DERIBIT"}}`)."""
    endpoints: EachEndpoints | None = None
    """Where the exchange is, of the one there is (`{"ws": …, "rest": …}`) or by exchange; none is the exchange
    itself."""
    policy: Policy = "drop_oldest"
    """What happens when the consumer is behind and `queue_bytes` are waiting: its oldest batches go, the new ones go,
    or sockets are not read (`block`; an exchange drops a reader that is too slow). Drops are counted, and rows of
    `gaps`."""
    queue_bytes: int = Field(64 << 20, ge=1 << 20, le=1 << 40)
    """Bytes of closed batches that wait for the consumer, 1 MiB to 1 TiB, in equal parts for each exchange. One batch
    is always let in."""
    eager: bool = True
    """A consumer that has read everything gets the next rows at once, in small batches. Without it batches close by
    rows, bytes and `batch.max_delay_ms` only, which costs less per row (collectors)."""
    batch: BatchLimits = BatchLimits()
    """When a batch closes."""
    book: BookLimits = BookLimits()
    """Rules for order books."""
    l2_top: TopLimits = TopLimits()
    """The sampled best levels."""
    deadlines: Deadlines = Deadlines()
    """Deadlines that judge a peer."""
    net: NetLimits = NetLimits()
    """Bounds of every connection."""
    rest: RestLimits = RestLimits()
    """Bounds of REST."""
    reference_interval_s: int = Field(3600, ge=10, le=86_400)
    """Seconds between two fetches of the reference data while running, 10 to 86 400."""
    open_interest_interval_s: int = Field(60, ge=0, le=3_600)
    """Seconds between two requests for the open interest of an instrument of `derivatives`, where an exchange tells it
    by REST alone (Binance USDⓈ-M), 1 to 3600; 0 asks for none. Each costs weight 1 of the exchange's 2400 a minute; so
    many as would take more than half of that are spread over a longer time."""
    max_instruments: int = Field(65_536, ge=1, le=1 << 24)
    """Instruments that the engine may know, 1 to 16 777 216; more are ignored and counted."""
    seed: int | None = Field(None, ge=0, lt=1 << 64)
    """Seed of the jitter; none takes one from the system, so that two processes never retry in step."""
    pin_core: int | None = Field(None, ge=0)
    """Core that the stream's thread is pinned to; of several exchanges the next ones follow. Refused on fewer than 4
    cores unless forced."""
    spin: bool = False
    """The stream's threads never sleep: each takes a whole core and saves the time of waking up. Refused on fewer than
    4 cores unless forced."""
    force: bool = False
    """Pin and spin on any machine."""
    extra_ca: Path | None = None
    """PEM file of authorities that are trusted beside the platform's own. There is no way to trust everybody."""

    def native(self) -> str:
        """What the native stream takes: JSON, with the engine's part by itself."""
        seed = secrets.randbits(64) if self.seed is None else self.seed
        values = {**self.model_dump(mode="json"), "seed": seed}
        engine = {key: values.pop(key) for key in _ENGINE}
        return json.dumps({**values, "engine": engine})


_ENGINE = (
    "streams",
    "tables",
    "numeric",
    "size_unit",
    "connections",
    "arbitration",
    "trade_source",
    "depth_speed",
    "endpoints",
    "seed",
    "batch",
    "book",
    "l2_top",
    "deadlines",
    "reference_interval_s",
    "open_interest_interval_s",
    "max_instruments",
)


class StreamOptions(TypedDict, total=False):
    """Keyword arguments of `stream`: the fields of `StreamConfig`."""

    streams: str | Iterable[str]
    tables: str | Iterable[str]
    numeric: Numeric
    size_unit: SizeUnit
    connections: int
    arbitration: Arbitration | dict[str, int | str | dict[str, int] | None]
    trade_source: TradeSource
    depth_speed: DepthSpeed
    login: Login | Mapping[str, str | Path] | Mapping[str, Login | Mapping[str, str | Path]] | None
    endpoints: Endpoints | Mapping[str, str] | Mapping[str, Endpoints | Mapping[str, str]] | None
    policy: Policy
    queue_bytes: int
    eager: bool
    batch: BatchLimits | dict[str, int]
    book: BookLimits | dict[str, int]
    l2_top: TopLimits | dict[str, int]
    deadlines: Deadlines | dict[str, int]
    net: NetLimits | dict[str, int | str | Iterable[str] | None]
    rest: RestLimits | dict[str, int | None]
    reference_interval_s: int
    open_interest_interval_s: int
    max_instruments: int
    seed: int | None
    pin_core: int | None
    spin: bool
    force: bool
    extra_ca: str | Path | None


class ReplayConfig(Settings):
    """One replay: what to read and in which form. What is left out is as it was recorded, in a recording of our own."""

    paths: tuple[Path, ...]
    """Recordings: capture files (`.jsonl`, `.jsonl.gz`) and folders of them, in whatever order, or what `collect` wrote
    with table `raw`, in the order in which it did."""
    exchange: str | None = None
    """Id of the exchange, where the recording does not tell."""
    tables: Words | None = None
    """Tables to fill; else `trades`, `l2`, `bbo`, `gaps` and `instruments`."""
    streams: Words | None = None
    """Streams to take; else all. Foreign recordings only."""
    numeric: Numeric | None = None
    """How prices and sizes stand in the tables; else `float`."""
    size_unit: SizeUnit | None = None
    """What a size counts; else base units."""
    trade_source: TradeSource | None = None
    """Which of two trade feeds; else per symbol the first kind seen. Foreign recordings only."""
    speed: Annotated[Speed, BeforeValidator(_speed)] = "max"
    """`max`: as fast as it goes; `1`: as fast as it was."""
    batch: BatchLimits = BatchLimits()
    """When a batch closes. `max_delay_ms` plays no part."""
    book: BookLimits | None = None
    """Rules for order books. Foreign recordings only."""

    def native(self) -> str:
        """What the native replay takes."""
        return self.model_dump_json()


class ReplayOptions(TypedDict, total=False):
    """Keyword arguments of `replay`: the fields of `ReplayConfig`."""

    exchange: str | None
    tables: str | Iterable[str] | None
    streams: str | Iterable[str] | None
    numeric: Numeric | None
    size_unit: SizeUnit | None
    trade_source: TradeSource | None
    speed: SpeedGiven
    batch: BatchLimits | dict[str, int]
    book: BookLimits | dict[str, int] | None
