"""Batches in the hands of the libraries that read them."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import xtrader as xt
from xtrader import config


@pytest.fixture(scope="module")
def batch(recording: Path) -> xt.Batch:
    """The first trades of a recording."""
    return next(iter(xt.replay(recording, tables="trades")))


@pytest.fixture(scope="module")
def books(recording: Path) -> xt.Batch:
    """Book messages: the table with lists."""
    return next(iter(xt.replay(recording, tables="l2")))


def test_a_batch_says_what_it_is(batch: xt.Batch) -> None:
    assert batch.table == "trades"
    assert len(batch) == batch.num_rows > 0
    assert batch.column_names[:4] == ["ts_event", "ts_venue", "ts_recv", "exchange"]
    assert batch.num_columns == len(batch.column_names)
    assert batch.nbytes > 0
    assert batch.metadata["xtrader.table"] == "trades"
    assert batch.metadata["xtrader.numeric"] == "float"
    assert repr(batch) == f"<xtrader.Batch trades: {len(batch)} rows x {batch.num_columns} columns>"
    with pytest.raises(AttributeError):
        batch.table = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["batch", "books"])
def test_every_reader_reads_the_same(name: str, request: pytest.FixtureRequest) -> None:
    batch: xt.Batch = request.getfixturevalue(name)
    frame = batch.to_polars()
    record = batch.to_pyarrow()
    assert frame.height == record.num_rows == len(batch)
    assert frame.columns == record.schema.names == batch.column_names
    plain = [pl.col(pl.Categorical).cast(pl.String)]
    assert pl.DataFrame(record).select(*frame.columns).equals(frame)
    ids = duckdb.execute("select msg_id from batch").fetchall()
    assert [number for (number,) in ids] == frame["msg_id"].to_list()
    assert frame.with_columns(*plain)["symbol"].cast(pl.String).to_list() == record["symbol"].to_pylist()


def test_schema_and_metadata_travel(batch: xt.Batch) -> None:
    schema = pa.schema(batch)
    assert schema.names == batch.column_names
    assert schema.metadata[b"xtrader.table"] == b"trades"
    assert batch.to_pyarrow().schema.equals(schema, check_metadata=True)
    assert str(schema.field("ts_recv").type) == "timestamp[ns, tz=UTC]"


@pytest.mark.parametrize("numeric", ["float", "decimal", "fixed"])
def test_every_batch_has_the_schema_of_its_table(numeric: config.Numeric, recording: Path) -> None:
    tables = set(xt.tables()) - {"raw"}
    found = set()
    for batch in xt.replay(recording, tables=tables, numeric=numeric, size_unit="native"):
        schema = xt.schema(batch.table, numeric=numeric, size_unit="native")
        assert pa.schema(schema).equals(pa.schema(batch), check_metadata=True)
        assert schema.names == batch.column_names
        found.add(batch.table)
    assert found >= {"trades", "l2", "levels"}


@pytest.mark.parametrize(
    ("table", "scales"),
    [
        ("trades", ["price_scale", "size_scale"]),
        ("l2_top", ["price_scale", "size_scale"]),
        ("derivatives", ["price_scale", "size_scale", "rate_scale"]),
        ("options", ["price_scale", "size_scale", "iv_scale", "greek_scale"]),
        ("liquidations", ["price_scale", "size_scale"]),
        ("gaps", []),
    ],
)
def test_fixed_ends_with_the_scales_of_what_there_is(table: str, scales: list[str]) -> None:
    names = xt.schema(table).names
    assert xt.schema(table, numeric="decimal").names == names
    assert xt.schema(table, numeric="fixed").names == names + scales


def test_what_is_no_table_is_refused_with_what_there_is() -> None:
    with pytest.raises(xt.ConfigError, match=r"table .candles.*liquidations"):
        xt.schema("candles")
    with pytest.raises(xt.ConfigError, match=r"numeric: .*expected one of .float., .decimal., .fixed."):
        xt.schema("trades", numeric="double")  # type: ignore[arg-type]
    assert {*xt.streams()} < {*xt.tables()}
    assert repr(xt.schema("bbo")) == "<xtrader.Schema bbo: 15 columns>"


def test_nothing_is_copied(batch: xt.Batch, books: xt.Batch) -> None:
    def addresses(column: pa.Array) -> list[int | None]:
        return [None if buffer is None else buffer.address for buffer in column.buffers()]

    for held in (batch, books):
        first, second = held.to_pyarrow(), pa.record_batch(held)
        for name in held.column_names:
            assert addresses(first[name]) == addresses(second[name]), name


@pytest.mark.fault("C11")
def test_rows_outlive_their_batch(recording: Path) -> None:
    record = next(iter(xt.replay(recording, tables="trades"))).to_pyarrow()
    gc.collect()
    record.validate(full=True)
    assert record["price"].to_pylist()[0] > 0


def test_a_reader_may_ask_for_other_types(batch: xt.Batch) -> None:
    wanted = pa.schema(
        [field.with_type(pa.float32()) if field.name == "price" else field for field in pa.schema(batch)]
    )
    _, array = batch.__arrow_c_array__(wanted.__arrow_c_schema__())
    taken = pa.RecordBatch._import_from_c_capsule(wanted.__arrow_c_schema__(), array)
    assert taken.schema.field("price").type == pa.float32()
    assert len(taken) == len(batch)


@pytest.mark.parametrize(("package", "method"), [("polars", "to_polars"), ("pyarrow", "to_pyarrow")])
def test_a_missing_package_is_named_with_its_extra(recording: Path, package: str, method: str) -> None:
    script = f"""
import sys
sys.modules[{package!r}] = None
import xtrader as xt
batch = next(iter(xt.replay({str(recording)!r}, tables="trades")))
try:
    batch.{method}()
except xt.MissingPackageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"pip install 'xtrader[{package}]'" in done.stdout
