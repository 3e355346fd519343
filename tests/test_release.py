"""A release is one version: the crates', the package's, the changelog's and the command's."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xtrader as xt


@pytest.fixture
def version(repository: Path) -> str:
    found: str = tomllib.loads((repository / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    return found


def test_every_crate_has_the_version_of_the_workspace(repository: Path) -> None:
    for manifest in sorted((repository / "rust").glob("*/Cargo.toml")):
        package = tomllib.loads(manifest.read_text())["package"]
        assert package["version"] == {"workspace": True}, manifest


def test_the_newest_entry_of_the_changelog_is_this_version(repository: Path, version: str) -> None:
    entries = re.findall(r"^## (\S+) \((\d{4}-\d{2}-\d{2})\)$", (repository / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert entries, "the changelog has no entry of the form `## 0.1.0 (2026-11-22)`"
    newest, _ = entries[0]
    assert newest == version
    dates = [date for _, date in entries]
    assert dates == sorted(dates, reverse=True), "the newest stands first"


def test_the_command_and_the_package_say_this_version(version: str) -> None:
    assert xt.__version__ == version
    done = subprocess.run([sys.executable, "-m", "xtrader", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"xtrader {version} (commit ")
    assert f"profile {xt.build_info()['profile']}" in done.stdout
