"""The package as people get it: what it imports, exports and says of itself."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import xtrader as xt
from xtrader import errors

# Refuses the optional packages, then imports everything there is.
WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

OPTIONAL = {"polars", "pyarrow", "pandas", "duckdb", "numpy"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OPTIONAL:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())

import xtrader

for module in pkgutil.walk_packages(xtrader.__path__, "xtrader."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted(OPTIONAL & set(sys.modules)))
"""


def test_every_module_imports_without_the_optional_packages() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_one_version_everywhere(repository: Path) -> None:
    cargo = tomllib.loads((repository / "Cargo.toml").read_text())
    assert xt.__version__ == cargo["workspace"]["package"]["version"]
    assert xt.__version__ == importlib.metadata.version("xtrader")
    assert xt.__version__ == xt.build_info()["version"]


def test_the_build_tells_its_commit_and_profile() -> None:
    info = xt.build_info()
    assert re.fullmatch(r"[0-9a-f]{12}|unknown", info["commit"])
    assert info["profile"] in {"ci", "release"}
    assert info["debug_assertions"] == (info["profile"] != "release")


def test_everything_exported_exists() -> None:
    assert sorted(xt.__all__) == sorted(set(xt.__all__))
    for name in xt.__all__:
        assert getattr(xt, name) is not None


def test_the_types_travel_with_the_package() -> None:
    files = {entry.name for entry in resources.files("xtrader").iterdir()}
    assert {"py.typed", "_native.pyi"} <= files


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_the_one_root_and_is_exported(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, xt.XTraderWarning if name.endswith("Warning") else xt.XTraderError)
    assert getattr(xt, name) is error
    assert error.__doc__


def test_errors_are_also_what_the_language_calls_them() -> None:
    assert issubclass(xt.ConfigError, ValueError)
    assert issubclass(xt.MissingPackageError, ImportError)
    assert issubclass(xt.StoreError, OSError)
