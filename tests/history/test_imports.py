"""What a command needs of the history, and no more, is imported: heavy libraries cost its start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mirror import history

SYNC = ("PostgresRecorder", "TargetLocked", "database_url", "mirror_row", "prepare")
STATUS = ("MirrorStatus", "RunSummary", "create_engine", "database_url", "prepare", "read_status")
HEAVY = ("alembic", "prefect", "prometheus_client", "sqlalchemy")


def heavy_after(statement: str) -> list[str]:
    """The heavy libraries that a fresh interpreter has imported after a statement."""
    program = f"import sys; {statement}; print(*set({HEAVY!r}).intersection(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return sorted(done.stdout.split())


def test_the_room_by_itself_imports_nothing_heavy() -> None:
    assert heavy_after("import mirror.history") == []


def test_a_sync_imports_neither_sqlalchemy_nor_alembic() -> None:
    assert heavy_after(f"from mirror.history import {', '.join(SYNC)}") == []
    assert "sqlalchemy" not in heavy_after("import flows.sync")


def test_a_status_imports_sqlalchemy_and_no_alembic() -> None:
    assert heavy_after(f"from mirror.history import {', '.join(STATUS)}") == ["sqlalchemy"]


def test_a_reader_needs_no_sqlalchemy() -> None:
    assert heavy_after("from mirror.history import open_reader, psql, as_json") == []


@pytest.mark.parametrize("name", ["nothing_there", "Record"])
def test_a_name_that_is_not_offered_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(history, name)
