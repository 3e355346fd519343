"""The wheel in an empty environment: no pyarrow, no polars, nothing of the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def wheel(request: pytest.FixtureRequest) -> Path:
    """The wheel under test: of the quick build, or what `make wheel` is about to hand out."""
    folder: Path = request.config.getoption("--wheels")
    wheels = sorted(folder.glob("*.whl"))
    assert len(wheels) == 1, f"there must be one wheel in {folder}; `make develop` builds one"
    return wheels[0]


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel in it; its folder of programs."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    install = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        str(wheel),
    ]
    subprocess.run(install, check=True)
    return programs


def python(environment: Path, script: str, *arguments: object) -> str:
    command = [str(environment / "python"), "-I", "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=environment).stdout


def test_it_is_alone(environment: Path) -> None:
    listed = subprocess.run(
        [str(environment / "python"), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        capture_output=True,
        check=True,
    ).stdout
    names = {package["name"].lower() for package in json.loads(listed)}
    assert "xtrader" in names
    assert not names & {"pyarrow", "polars", "numpy", "pandas", "duckdb"}


def test_it_is_for_every_python_from_3_11_and_says_how_it_was_built(environment: Path, wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    version = subprocess.run([str(environment / "xtrader"), "--version"], capture_output=True, text=True, check=True)
    profile = "ci" if wheel.parent.name == "dist-ci" else "release"
    assert f"profile {profile}" in version.stdout


LIVE = """
import xtrader as xt

with xt.Simulator(symbols=["BTCUSDT"]) as simulator:
    with xt.stream("binance-futures:BTCUSDT", endpoints=simulator.endpoints) as stream:
        batch = next(stream)
        assert len(batch) > 0 and batch.__arrow_c_array__()
        for method in (batch.to_polars, batch.to_pyarrow):
            try:
                method()
            except xt.MissingPackageError as error:
                print(error)
"""


def test_it_streams_without_any_extra(environment: Path) -> None:
    lines = python(environment, LIVE).splitlines()
    assert [line.rpartition("pip install ")[2] for line in lines] == ["'xtrader[polars]'", "'xtrader[pyarrow]'"]


def test_it_replays_into_parquet(environment: Path, recording: Path, tmp_path: Path) -> None:
    command = [str(environment / "xtrader"), "replay", str(recording), "--out", str(tmp_path / "data"), "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout)
    assert report["rows"]["trades"] > 0
    assert list((tmp_path / "data" / "trades").rglob("*.parquet"))


def test_the_demo_says_what_it_lacks(environment: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(environment / "xtrader"), "demo"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "xtrader[polars]" in done.stderr


def test_the_types_are_in_it(environment: Path) -> None:
    script = "from importlib import resources; print(*(f.name for f in resources.files('xtrader').iterdir()))"
    assert {"py.typed", "_native.pyi"} <= set(python(environment, script).split())
    assert sys.version_info >= (3, 11)
