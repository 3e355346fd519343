"""Exchange market data, exactly as it was: live and replayed through one engine, handed over as Arrow batches.

>>> for batch in xtrader.stream("binance-futures:BTCUSDT", streams=["trades", "l2"]):
...     print(batch.table, len(batch), batch.to_polars())
"""

from __future__ import annotations

from xtrader._native import Batch, ParquetStore, Schema, build_info, exchanges, schema, streams, tables
from xtrader.config import (
    Arbitration,
    BatchLimits,
    BookLimits,
    Deadlines,
    DedupLimits,
    Endpoints,
    Login,
    NetLimits,
    ReplayConfig,
    RestLimits,
    StreamConfig,
    TopLimits,
)
from xtrader.errors import (
    ConfigError,
    ForkedError,
    MissingPackageError,
    ReplayError,
    SimulatorError,
    StoreError,
    StreamError,
    XTraderError,
    XTraderWarning,
)
from xtrader.replaying import Replay, replay
from xtrader.simulation import Simulator
from xtrader.streaming import Stream, stream

__version__: str = build_info()["version"]

__all__ = [
    "Arbitration",
    "Batch",
    "BatchLimits",
    "BookLimits",
    "ConfigError",
    "Deadlines",
    "DedupLimits",
    "Endpoints",
    "ForkedError",
    "Login",
    "MissingPackageError",
    "NetLimits",
    "ParquetStore",
    "Replay",
    "ReplayConfig",
    "ReplayError",
    "RestLimits",
    "Schema",
    "Simulator",
    "SimulatorError",
    "StoreError",
    "Stream",
    "StreamConfig",
    "StreamError",
    "TopLimits",
    "XTraderError",
    "XTraderWarning",
    "__version__",
    "build_info",
    "exchanges",
    "replay",
    "schema",
    "stream",
    "streams",
    "tables",
]
