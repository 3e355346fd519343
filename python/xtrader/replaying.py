"""Recorded frames through the engine."""

from __future__ import annotations

import os
from typing import Unpack

from xtrader._native import Replay
from xtrader.config import ReplayConfig, ReplayOptions

__all__ = ["Replay", "replay"]


def replay(*paths: str | os.PathLike[str], **options: Unpack[ReplayOptions]) -> Replay:
    """Replays recordings through the engine that runs live: an iterator over batches.

    Args:
        *paths: Capture files (`.jsonl`, `.jsonl.gz`) and folders of them, read in the order in which they were
            recorded, or what `xtrader collect` wrote with table `raw`.
        **options: The fields of `ReplayConfig`: `exchange`, `tables`, `streams`, `numeric`, `size_unit`,
            `trade_source`, `speed`, `batch`, `book`.

    Example:
        >>> for batch in xtrader.replay("capture.jsonl.gz", tables="trades"):
        ...     print(batch.to_polars())

    Raises:
        ConfigError: something asked for is not there; the text lists what there is.
        ReplayError: a path holds no recording, or the recording is damaged.
    """
    return Replay(ReplayConfig.checked(paths=paths, **options).native())
