"""The native half of XTrader. Import from `xtrader`, not from here."""

from typing import TypedDict, final

import polars as pl
import pyarrow as pa

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

def default_engine_config() -> str:
    """The defaults of one engine as JSON."""

@final
class Batch:
    """A closed batch of one table: immutable, and shared without a copy with whoever reads it through Arrow.

    Polars, DuckDB, pyarrow, nanoarrow and pandas take it as it is: `polars.DataFrame(batch)`.
    """

    @property
    def table(self) -> str:
        """Name of the table: `trades`, `l2`, `levels`, `bbo`, `gaps`, `instruments` or `raw`."""

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
