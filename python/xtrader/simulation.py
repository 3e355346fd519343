"""An exchange to run at home: real protocol, real sockets, faults on request, the truth written down."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from xtrader import _native
from xtrader.config import Endpoints
from xtrader.errors import ForkedError

__all__ = ["Simulator"]


class Simulator:
    """A simulated exchange on free ports of this machine; it stops with its `with` block or when it is let go of.

    Example:
        >>> with Simulator(seed=7, symbols=["BTCUSDT"]) as simulator:
        ...     stream = xtrader.stream("binance-futures:BTCUSDT", endpoints=simulator.endpoints)

    Args:
        **config: What differs from the defaults of the exchange: `exchange` (`binance-futures` unless it says
            `binance-spot`, `okx` or `deribit`), `seed`, `symbols`, `source`, `addresses`, `ws_port`, `rest_port`,
            `tls`, `faults`, `limits`, `load`, …; unknown keys are refused. `config` shows all of them.

    Raises:
        ConfigError: a key that is not there, or a value that makes no sense.
        SimulatorError: a port that is taken, or a capture that cannot be read.
    """

    def __init__(self, **config: Any) -> None:  # noqa: ANN401 - the simulator itself checks it
        self._native = _native.Simulator(json.dumps(config, default=os.fspath))

    @property
    def ws_url(self) -> str:
        """Address of the WebSocket server."""
        return self._native.ws_url

    @property
    def rest_url(self) -> str:
        """Address of the REST server."""
        return self._native.rest_url

    @property
    def endpoints(self) -> Endpoints:
        """Both, for `stream(endpoints=…)`."""
        return Endpoints(ws=self.ws_url, rest=self.rest_url)

    @property
    def ca_pem(self) -> str | None:
        """The authority that clients must trust, with `tls=True`."""
        return self._native.ca_pem

    @property
    def is_running(self) -> bool:
        """True until it is stopped."""
        return self._native.is_running

    @property
    def config(self) -> dict[str, Any]:
        """What it runs with, defaults included."""
        return self._native.config()

    def inject(
        self,
        kind: str,
        *,
        target: dict[str, Any] | None = None,
        when: dict[str, Any] | None = None,
        **fields: Any,  # noqa: ANN401
    ) -> int:
        """Adds a fault: at once and one time, unless `when` says otherwise.

        Args:
            kind: `drop`, `duplicate`, `delay`, `tamper`, `replay_recent`, `disconnect`, `half_open`, `malformed`,
                `stale_snapshot`, `shutdown`, `list`, `delist`, `status`, …
            target: For whom: `connection`, `address`, `family`, `symbol`, `stream`, `path`; all given must match.
            when: `after_s`, `after_frames`, `times` (0 without limit), `probability`, `for_s`, `every_s` (strikes a
                connection again and again).
            **fields: What the kind has beside its name.

        Returns:
            Its number, for `fault_fired` and `clear_faults`.
        """
        plan = {"fault": {"kind": kind, **fields}, "target": target or {}, "when": when or {}}
        return self._native.inject(json.dumps(plan))

    def fault_fired(self, number: int) -> int:
        """How often a fault has struck."""
        return self._native.fault_fired(number)

    def clear_faults(self, number: int | None = None) -> None:
        """Ends a fault, or all of them. What they have done stays done."""
        self._native.clear_faults(number)

    def pause(self) -> None:
        """The market stands still. What has happened is still sent."""
        self._native.pause()

    def resume(self) -> None:
        """The market goes on."""
        self._native.resume()

    def wait_drained(self, seconds: float) -> bool:
        """Waits until a paused market has told everything to every socket; false if that takes longer."""
        return self._native.wait_drained(seconds)

    def truth(self, what: str, **fields: Any) -> Any:  # noqa: ANN401 - every question has its own answer
        """Asks what really happened.

        Args:
            what: `summary`, `symbols`, `events`, `frames`, `trades`, `book`, `client_book`, `connections`,
                `alterations`, `requests`, `missing` or `uncarried` (events of a `stream` that no connection was
                handed).
            **fields: What the question has beside its name.
        """
        return self._native.truth(json.dumps({"what": what, **fields}))

    def write_truth(self, folder: str | os.PathLike[str]) -> None:
        """Writes down everything that happened."""
        self._native.write_truth(os.fspath(folder))

    def record(self, path: str | os.PathLike[str], seconds: float = 10.0, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        """Records what a plain client sees for so long, in the capture format. Blocks meanwhile."""
        return self._native.record(json.dumps({"path": os.fspath(path), "seconds": seconds, **request}))

    def load_reports(self) -> list[dict[str, Any]]:
        """What a load test has sent so far, by connection."""
        return self._native.load_reports()

    def stop(self) -> None:
        """Stops serving. The truth can still be asked."""
        self._native.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Of a fork that leaves the block: it is still the parent's.
        with suppress(ForkedError):
            self.stop()

    def __repr__(self) -> str:
        return f"<xtrader.Simulator {self.ws_url}>"
