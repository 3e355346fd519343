"""What the tests share."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import xtrader as xt

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    wheels = REPOSITORY / "target" / "dist-ci"
    parser.addoption("--wheels", type=Path, default=wheels, help="Folder with the wheel whose installation is tested.")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def captures() -> Path:
    """The recordings beside the repository. A developer may lack them; CI may not."""
    folder = REPOSITORY.parent / "shared" / "captures"
    if not folder.is_dir():
        reason = "../shared/captures is not there: recordings are kept beside the repository, not in it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def xtrader_command() -> Path:
    """The console script of the package under test."""
    return Path(sysconfig.get_path("scripts")) / "xtrader"


@pytest.fixture
def simulator() -> Iterator[xt.Simulator]:
    """A simulated exchange of two symbols."""
    with xt.Simulator(seed=7, symbols=["BTCUSDT", "ETHUSDT"]) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short capture of a simulated market, as a plain client sees it."""
    path = tmp_path_factory.mktemp("recording") / "binance_usdm.jsonl"
    with xt.Simulator(seed=11, symbols=["BTCUSDT", "ETHUSDT"]) as simulator:
        simulator.record(path, 2.0)
    return path
