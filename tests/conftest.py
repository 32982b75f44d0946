"""What all tests share; the fixtures themselves are in tests/support."""

import pytest

from mirror import outside_text

pytest_plugins = (
    "tests.support.coverage_floor",
    "tests.support.fixtures",
    "tests.support.records",
    "tests.support.users",
)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test keeps as a secret is a word like any other in the next."""
    monkeypatch.setattr(outside_text, "_forms", set())
    monkeypatch.setattr(outside_text, "_tokens", {})
    monkeypatch.setattr(outside_text, "_kept", {})
