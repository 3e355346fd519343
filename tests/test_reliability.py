"""What can go wrong has a test, and the page that says so is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# Where `unsafe` may stand outside of tests and benches: the kernels, and the calls of the operating system.
UNSAFE = ("rust/scan/src/", "rust/runtime/src/live/sys.rs")


def generator(repository: Path) -> Path:
    return repository / "docs" / "generate_reliability.py"


def test_the_page_is_what_the_tests_say(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(generator(repository)), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_marker_that_covers_nothing_is_found(repository: Path, tmp_path: Path) -> None:
    """A fault nobody knows, a marker above no test, a fault that lost its tests: each is told."""
    copy = tmp_path / "docs" / "generate_reliability.py"
    copy.parent.mkdir()
    copy.write_text(generator(repository).read_text())
    (tmp_path / "rust").mkdir()
    (tmp_path / "tests").mkdir()
    marked = tmp_path / "rust" / "lib.rs"

    def told(text: str) -> str:
        marked.write_text(text)
        command = [sys.executable, str(copy), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "lib.rs: t names fault N99" in told("// Fault: N99\n#[test]\nfn t() {}\n")
    assert "above no test" in told("// Fault: N01\nstruct S;\n")
    assert "is no test" in told("// Fault: N01\nfn helper() {}\n")
    assert "N02 has no test" in told("// Fault: N01\n#[test]\nfn t() {}\n")
    assert "N01 belongs into `make test`" in told("// Fault: N01\n#[test]\n#[ignore]\nfn t() {}\n")
    assert "is stale" in told("// Fault: N01\n#[test]\nfn t() {}\n")


@pytest.mark.fault("Z16")
def test_unsafe_stands_in_listed_places_each_with_its_reason(repository: Path) -> None:
    found = 0
    for path in sorted((repository / "rust").rglob("*.rs")):
        name = path.relative_to(repository).as_posix()
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if not re.search(r"\bunsafe\s*(\{|impl\b)", line.split("//")[0]):
                continue
            found += 1
            place = f"{name}:{number + 1}"
            assert name.startswith(UNSAFE) or "/tests/" in name, f"{place}: unsafe code does not belong here"
            assert "SAFETY:" in "\n".join(lines[max(0, number - 8) : number]), f"{place}: say why it is sound"
    assert found, "nothing was looked at"
    assert "#![forbid(unsafe_code)]" in (repository / "rust/core/src/lib.rs").read_text()
