"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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
