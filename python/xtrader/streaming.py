"""Live frames through the engine."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, Unpack

from xtrader import _native
from xtrader._native import Batch
from xtrader.config import StreamConfig, StreamOptions
from xtrader.errors import ForkedError, XTraderWarning

__all__ = ["Stream", "stream"]


def stream(*subscriptions: str | Iterable[str], **options: Unpack[StreamOptions]) -> Stream:
    """Opens a live stream: an iterator over batches, for `for` and for `async for`.

    Args:
        *subscriptions: What to take, as `EXCHANGE:SYMBOL`: `"binance-futures:BTCUSDT"`, several of them, or lists; of
            any number of exchanges.
        **options: The fields of `StreamConfig`: `streams`, `tables`, `numeric`, `policy`, `endpoints`, …

    Example:
        >>> for batch in xtrader.stream("binance-futures:BTCUSDT", streams=["trades", "l2"]):
        ...     print(batch.table, len(batch), batch.to_polars())

    Raises:
        ConfigError: an exchange, stream, table or symbol that is not there; the text lists what there is.
        StreamError: the system refuses a thread or a certificate store.
    """
    return Stream(StreamConfig.checked(subscriptions=_texts(subscriptions), **options))


def _texts(subscriptions: tuple[str | Iterable[str], ...]) -> list[str]:
    return [text for given in subscriptions for text in ([given] if isinstance(given, str) else given)]


class Stream:
    """A live stream. Connections are opened, watched and reopened in the background until it is closed.

    It is its own iterator: batches come once, to whoever asks first. `close` it, use it in a `with` block, or let go of
    it: sockets and threads go with it. It belongs to the process that opened it.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._native = _native.Stream(config.native())
        self._awaited = False
        self.config = config
        """What is asked for, with what was changed since."""
        try:
            for text in self._native.warnings:
                warnings.warn(text, XTraderWarning, stacklevel=3)
        except XTraderWarning:
            # Where warnings are errors, nobody gets this stream.
            self.close()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        batch = self._native.wait(None)
        if batch is None:
            raise StopIteration
        return batch

    def next(self, timeout: float | None = None) -> Batch | None:
        """The next batch, or `None` when the stream is closed.

        Args:
            timeout: Seconds to wait for it; `None` waits as long as it takes.

        Raises:
            TimeoutError: there was none within `timeout`.
            StreamError: the stream failed.

        Warns:
            XTraderWarning: an exchange refuses something while the stream runs; it is asked again, all else goes on.
        """
        return self._native.wait(timeout)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        if self._awaited:
            raise RuntimeError("the stream is awaited already: give each task its own stream, or a queue between them")
        self._awaited = True
        try:
            while (batch := self._native.poll()) is None:
                await self._readable()
        finally:
            self._awaited = False
        return batch

    async def _readable(self) -> None:
        """Waits until the shard says that there is something to poll for."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        descriptor = self._native.fileno()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        # Registered only while somebody waits: the event loop must not keep a stream alive that nobody else holds.
        loop.add_reader(descriptor, wake)
        try:
            await woken
        finally:
            loop.remove_reader(descriptor)

    def add(self, *subscriptions: str | Iterable[str]) -> None:
        """Takes these, too, from now on, without touching what is taken already.

        Args:
            *subscriptions: Written as for `stream`, of exchanges that this stream serves already.

        Example:
            >>> stream.add("okx-swap:ETHUSDT")

        Raises:
            ConfigError: an exchange or a symbol that is not there, or not in this stream. Of several exchanges each
                judges its part by itself: where one refuses, what another took stands.
            StreamError: the stream has ended, or does not answer.
        """
        added = self._changed("add", subscriptions)
        known = self.config.subscriptions
        self._configure(subscriptions=known + tuple(text for text in added if text not in known))

    def remove(self, *subscriptions: str | Iterable[str]) -> None:
        """No longer takes these, without touching the others.

        Args:
            *subscriptions: As they were written for `stream` or `add`.

        Raises:
            ConfigError: what was never asked for.
            StreamError: the stream has ended, or does not answer.
        """
        removed = self._changed("remove", subscriptions)
        self._configure(subscriptions=tuple(text for text in self.config.subscriptions if text not in removed))

    def set_connections(self, connections: int) -> None:
        """Carries each stream on so many connections from now on: more are opened one by one, the worst are closed.

        Raises:
            ConfigError: out of bounds, or more than an exchange lets be merged.
            StreamError: the stream has ended, or does not answer.
        """
        # The same bounds as at the start, in the same words.
        wanted = StreamConfig.checked(subscriptions=(), connections=connections).connections
        self._native.command(json.dumps({"connections": wanted}))
        self._configure(connections=wanted)

    def _changed(self, change: str, subscriptions: tuple[str | Iterable[str], ...]) -> tuple[str, ...]:
        texts = StreamConfig.checked(subscriptions=_texts(subscriptions)).subscriptions
        self._native.command(json.dumps({change: texts}))
        return texts

    def _configure(self, **changes: object) -> None:
        """What is asked for now, for whoever looks at it."""
        self.config = self.config.model_copy(update=changes)

    def report(self) -> dict[str, Any]:
        """Counters of every stage, connections, queue and books, now or at the end."""
        return self._native.report()

    def close(self) -> None:
        """Closes connections and thread. Batches that are ready can still be taken; after them the iterator ends."""
        self._native.close()

    async def aclose(self) -> None:
        """As `close`, for an event loop: a polite close takes up to `net.close_ms`, and other tasks go on meanwhile."""
        await self._native.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Of a fork that leaves the block: it is still the parent's.
        with suppress(ForkedError):
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<xtrader.Stream {', '.join(self.config.subscriptions)}: {', '.join(self.config.streams)}>"
