"""Everything that XTrader raises."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ForkedError",
    "MissingPackageError",
    "ReplayError",
    "SimulatorError",
    "StoreError",
    "StreamError",
    "XTraderError",
    "XTraderWarning",
]


class XTraderError(Exception):
    """Root of everything that XTrader raises."""

    retryable: bool = False
    """The same call may succeed later without a change of what was asked."""


class ConfigError(XTraderError, ValueError):
    """What was asked for does not exist, is out of bounds or contradicts itself. The text names place and remedy."""


class ReplayError(XTraderError):
    """A recording cannot be read, or its venue cannot be told."""


class StreamError(XTraderError):
    """A live stream could not start, or ended by a failure that retrying does not heal."""


class StoreError(XTraderError, OSError):
    """Rows could not be written."""


class SimulatorError(XTraderError):
    """The simulated exchange could not start or do what it was told."""


class ForkedError(XTraderError):
    """The object belongs to the parent process: threads do not survive a fork. Open it anew in the child."""


class MissingPackageError(XTraderError, ImportError):
    """An optional package is not installed. The text names the extra that brings it."""


class XTraderWarning(UserWarning):
    """Something is done, and less well than it could be. The text names what is lost and the remedy."""
