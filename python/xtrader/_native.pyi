"""The native half of XTrader. Import from `xtrader`, not from here."""

import os
from collections.abc import Awaitable
from typing import Any, Literal, Self, TypedDict, final, type_check_only

import polars as pl
import pyarrow as pa

__all__ = [
    "Batch",
    "ParquetStore",
    "Replay",
    "Schema",
    "Simulator",
    "Stream",
    "build_info",
    "default_replay_options",
    "default_stream_options",
    "exchanges",
    "schema",
    "streams",
    "tables",
]

@type_check_only
class BuildInfo(TypedDict):
    """What this binary is."""

    version: str
    """Version of the package."""
    commit: str
    """Git commit it was built from, or `unknown`."""
    profile: str
    """Cargo profile: `release` in wheels."""
    target: str
    """Target triple."""
    debug_assertions: bool
    """A build for development: slower, and arithmetic overflow stops it."""

def build_info() -> BuildInfo:
    """Version, commit, Cargo profile, target and whether debug assertions are on."""

def default_stream_options() -> dict[str, Any]:
    """The native defaults of a live stream."""

def default_replay_options() -> dict[str, Any]:
    """The native defaults of a replay."""

def tables() -> list[str]:
    """Names of the tables."""

def streams() -> list[str]:
    """Names of the streams, each that of the table it fills. Not every exchange offers each: see `exchanges`."""

@type_check_only
class Offer(TypedDict):
    """What one market offers."""

    exchange: str
    """Its id, as subscriptions write it."""
    venue: str
    """Id of the venue whose sockets carry it, which stands for all its markets."""
    streams: list[str]
    """Its streams."""
    depth_speeds: list[str]
    """Speeds of its books, the default first."""
    trade_sources: list[str]
    """Its trade feeds, the default first."""
    snapshot: Literal["rest", "channel"]
    """Where the snapshot of a book comes from."""
    login: bool
    """Whether one can log in."""

def exchanges() -> list[Offer]:
    """Every market there is, and what it offers."""

@final
class Schema:
    """Columns of one table. Whoever reads Arrow takes it as it is: `pyarrow.schema(schema)`."""

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""

    def __arrow_c_schema__(self) -> object:
        """The schema as an Arrow PyCapsule."""

def schema(
    table: str,
    *,
    numeric: Literal["float", "decimal", "fixed"] = "float",
    size_unit: Literal["base", "native"] = "base",
) -> Schema:
    """The schema of a table: every batch of it has this one.

    Args:
        table: Name of the table, one of `tables()`.
        numeric: How prices and sizes stand in it.
        size_unit: What a size counts; stands in the metadata.

    Raises:
        ConfigError: there is no such table; the error lists what there is.
    """

@final
class Batch:
    """A closed batch of one table: immutable, and shared without a copy with whoever reads it through Arrow.

    Polars, DuckDB, pyarrow, nanoarrow and pandas take it as it is: `polars.DataFrame(batch)`.
    """

    @property
    def table(self) -> str:
        """Name of the table, one of `tables()`."""

    @property
    def num_rows(self) -> int:
        """Rows."""

    @property
    def num_columns(self) -> int:
        """Columns."""

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order."""

    @property
    def metadata(self) -> dict[str, str]:
        """The schema's metadata: `xtrader.table`, `xtrader.schema_version`, `xtrader.numeric`, `xtrader.size_unit`."""

    @property
    def nbytes(self) -> int:
        """Bytes that the batch keeps in memory."""

    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object:
        """The schema as an Arrow PyCapsule."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Schema and rows as Arrow PyCapsules, without a copy unless `requested_schema` asks for other types."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The batch as a stream of one, for readers that know only streams (DuckDB)."""

    def to_polars(self) -> pl.DataFrame:
        """The batch as a Polars frame.

        Raises:
            MissingPackageError: Polars is not installed.
        """

    def to_pyarrow(self) -> pa.RecordBatch:
        """The batch as a pyarrow record batch.

        Raises:
            MissingPackageError: pyarrow is not installed.
        """

@final
class Replay:
    """Recordings through the engine: an iterator over batches. Made by `xtrader.replay`."""

    def __new__(cls, options: str) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Batch: ...
    def progress(self) -> tuple[int, int, int]:
        """Bytes read, bytes in all, frames so far."""

    def report(self) -> dict[str, Any]:
        """What was replayed and what came of it: frames, bytes, rows, counters, books, seconds, frames per second."""

@final
class Stream:
    """The native half of `xtrader.Stream`."""

    def __new__(cls, options: str) -> Self: ...
    def wait(self, timeout: float | None = None) -> Batch | None:
        """The next batch, `None` at the end."""

    def poll(self) -> Batch | None:
        """The next batch if there is one; else `None`, and `fileno` becomes readable when it is time to ask again."""

    @property
    def warnings(self) -> list[str]:
        """What its owner should know, though it hinders nothing."""

    def command(self, command: str) -> None:
        """Changes what is taken: JSON, `{"add": […]}`, `{"remove": […]}` or `{"connections": N}`."""

    def fileno(self) -> int:
        """The descriptor for an event loop."""

    def close(self) -> None:
        """Stops the shard; what it has handed over can still be taken."""

    def aclose(self) -> Awaitable[None]:
        """As `close`, for an event loop, which goes on meanwhile."""

    def report(self) -> dict[str, Any]:
        """Counters of every stage."""

@type_check_only
class StoredFile(TypedDict):
    """A complete file."""

    path: str
    """Where it is."""
    table: str
    """Of which table."""
    rows: int
    """Its rows."""
    bytes: int
    """Its size."""

@final
class ParquetStore:
    """Writes batches to `ROOT/<table>/exchange=<id>/date=<UTC day>/part-00000.parquet`, and so on.

    The folder is locked meanwhile. A file with a final name is complete; rows that are not in one yet are written by
    `finish`.
    """

    def __new__(
        cls, root: str | os.PathLike[str], tables: list[str] | tuple[str, ...], *, append: bool = False
    ) -> Self:
        """Locks the folder.

        Args:
            root: The folder; it is made where it is missing.
            tables: Tables that may be written.
            append: Go on with the next free number where a table is there already; otherwise that is refused.

        Raises:
            ConfigError: a table that is not there.
            StoreError: the folder is locked by another, holds one of the tables already, or cannot be written.
        """

    def write(self, batch: Batch) -> None:
        """Takes a batch."""

    def finish(self) -> list[StoredFile]:
        """Completes every file."""

@final
class Simulator:
    """The native half of `xtrader.Simulator`."""

    def __new__(cls, config: str) -> Self: ...
    @property
    def ws_url(self) -> str: ...
    @property
    def rest_url(self) -> str: ...
    @property
    def ca_pem(self) -> str | None: ...
    @property
    def is_running(self) -> bool: ...
    def config(self) -> dict[str, Any]: ...
    def inject(self, plan: str) -> int: ...
    def fault_fired(self, number: int) -> int: ...
    def clear_faults(self, number: int | None = None) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def wait_drained(self, seconds: float) -> bool: ...
    def truth(self, question: str) -> Any: ...
    def write_truth(self, folder: str | os.PathLike[str]) -> None: ...
    def record(self, request: str) -> dict[str, Any]: ...
    def load_reports(self) -> list[dict[str, Any]]: ...
    def stop(self) -> None: ...
