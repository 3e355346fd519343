"""One simulated exchange, and what is collected from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from xtrader._native import ParquetStore, exchanges
from xtrader.errors import XTraderError
from xtrader.simulation import Simulator
from xtrader.streaming import stream

TABLES = ("trades", "l2", "bbo", "derivatives", "options", "liquidations", "gaps", "instruments", "connections")
# Tables whose rows are one frame each, soon after it was read.
PROMPT = {"trades", "l2", "bbo"}


@dataclass(frozen=True)
class Show:
    """What is shown of an exchange."""

    exchange: str
    # The instruments: as the tables call them, market and symbol, and as the exchange does.
    instruments: dict[str, str]
    # The simulator's name of an instrument's book, and of the connections that carry books.
    book_of: Callable[[str], str]
    family: str
    # Levels a side of a snapshot: the exchange cuts it there.
    snapshot_levels: int
    # Its sizes count contracts, whose worth `instruments.multiplier` tells.
    counts_contracts: bool = False

    @property
    def natives(self) -> list[str]:
        """The instruments, as the exchange calls them."""
        return list(self.instruments.values())

    @property
    def markets(self) -> set[str]:
        """Where they trade."""
        return {name.partition(":")[0] for name in self.instruments}

    @property
    def streams(self) -> list[str]:
        """All that these markets offer, and a table is written of."""
        offered = [offer["streams"] for offer in exchanges() if offer["exchange"] in self.markets]
        return [table for table in TABLES if any(table in streams for streams in offered)]


def _binance_book(native: str) -> str:
    return f"{native.lower()}@depth@100ms"


SHOWS = (
    Show(
        "binance-futures",
        {f"binance-futures:{symbol}": symbol for symbol in ("BTCUSDT", "ETHUSDT")},
        _binance_book,
        "public",
        1000,
    ),
    Show(
        "binance-spot",
        {f"binance-spot:{symbol}": symbol for symbol in ("BTCUSDT", "ETHUSDT")},
        _binance_book,
        "spot",
        5000,
    ),
    Show(
        "okx",
        {"okx-swap:BTCUSDT": "BTC-USDT-SWAP", "okx-swap:BTCUSD": "BTC-USD-SWAP", "okx-spot:BTCUSDT": "BTC-USDT"},
        lambda native: f"books:{native}",
        "public",
        400,
        counts_contracts=True,
    ),
    Show(
        "deribit",
        {
            "deribit:BTCUSD": "BTC-PERPETUAL",
            "deribit:BTCUSD-261225": "BTC-25DEC26",
            "deribit:BTCUSD-261225-100000-C": "BTC-25DEC26-100000-C",
        },
        lambda native: f"book.{native}.100ms",
        "v2",
        100_000,
    ),
)


class Session:
    """A simulated exchange and a stream of it, read by a thread of its own until the `with` block ends."""

    def __init__(self, show: Show, seed: int, store: ParquetStore) -> None:
        self.show = show
        self.rows = 0
        # Nanoseconds from the read at the socket to the batch in Python, of the newest row of each batch.
        self.latencies: list[int] = []
        self.seconds = 0.0
        self._store = store
        self._failure: Exception | None = None
        self.simulator = Simulator(exchange=show.exchange, seed=seed, symbols=show.natives)
        self._began = time.monotonic()
        self.live = stream(
            *(f"{show.exchange}:{native}" for native in show.natives),
            streams=show.streams,
            tables=TABLES,
            endpoints=self.simulator.endpoints,
            policy="block",
            deadlines={"backoff_base_ms": 100},
        )
        self._reader = threading.Thread(target=self._read, name=f"demo {show.exchange}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for batch in self.live:
                arrived = time.time_ns()
                if batch.table in PROMPT:
                    newest = batch.to_polars()["ts_recv"].cast(int).max()
                    if isinstance(newest, int):
                        self.latencies.append(arrived - newest)
                self._store.write(batch)
                self.rows += len(batch)
        except XTraderError as error:
            self._failure = error

    def cut(self) -> None:
        """Ends a connection without a word."""
        self.simulator.inject("disconnect", target={"family": self.show.family})

    def lose(self) -> None:
        """Loses a change of the first instrument's book."""
        self.simulator.inject("drop", target={"stream": self.show.book_of(self.show.natives[0])})

    def frames(self) -> int:
        """Frames so far."""
        frames: int = self.live.report()["counters"]["frames"]["total"]
        return frames

    def books(self) -> dict[str, dict[str, Any]]:
        """The engine's report of each book, by the exchange's name."""
        return {book["native_symbol"]: book for book in self.live.report()["books"]}

    def present_id(self, native: str) -> int:
        """Where the exchange's own book is."""
        last_id: int = self.simulator.truth("book", symbol=native, levels=1)["last_id"]
        return last_id

    def settle(self, deadline: float) -> None:
        """Waits until every book stands where the paused market does, and ends the stream."""
        self.simulator.wait_drained(max(0.0, deadline - time.monotonic()))
        while not self._has_caught_up() and time.monotonic() < deadline and self._failure is None:
            time.sleep(0.05)
        self.seconds = time.monotonic() - self._began
        self._end()

    def _has_caught_up(self) -> bool:
        books = self.books()
        return all(
            native in books and books[native]["state"] == "live" and books[native]["last_id"] == self.present_id(native)
            for native in self.show.natives
        )

    def _end(self) -> None:
        self.live.close()
        self._reader.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.close()
        self._reader.join()
        self.simulator.stop()
