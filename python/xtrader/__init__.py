"""Exchange market data, exactly as it was: live and replayed through one engine, handed over as Arrow batches."""

from __future__ import annotations

from xtrader._native import Batch, build_info
from xtrader.config import BatchLimits, BookLimits, Deadlines, Endpoints
from xtrader.errors import (
    ConfigError,
    ForkedError,
    MissingPackageError,
    ReplayError,
    SimulatorError,
    StoreError,
    StreamError,
    XTraderError,
)

__version__: str = build_info()["version"]

__all__ = [
    "Batch",
    "BatchLimits",
    "BookLimits",
    "ConfigError",
    "Deadlines",
    "Endpoints",
    "ForkedError",
    "MissingPackageError",
    "ReplayError",
    "SimulatorError",
    "StoreError",
    "StreamError",
    "XTraderError",
    "__version__",
    "build_info",
]
