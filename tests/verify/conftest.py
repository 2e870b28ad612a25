"""A desk for each test."""

from pathlib import Path

import pytest

from tests.verify.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A ledger of thirty looks of two people, and a folder."""
    return Desk(tmp_path, capsys)
