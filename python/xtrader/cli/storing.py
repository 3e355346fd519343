"""Parquet files of a command: they are completed however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from xtrader._native import ParquetStore
from xtrader.errors import XTraderError

if TYPE_CHECKING:
    from xtrader._native import StoredFile


@contextmanager
def finishing(store: ParquetStore | None) -> Iterator[list[StoredFile]]:
    """Finishes the store with its block, also where that breaks off: what was taken until then is kept.

    Yields:
        The list of files, filled when the block has ended.
    """
    files: list[StoredFile] = []
    try:
        yield files
    except BaseException:
        # The first error says what went wrong; the store's is often only its consequence.
        with suppress(XTraderError):
            _finish(store, files)
        raise
    _finish(store, files)


def _finish(store: ParquetStore | None, files: list[StoredFile]) -> None:
    if store is not None:
        files.extend(store.finish())
