"""The history's address, as operators write it."""

from __future__ import annotations

from traceback import format_exception

import pytest

from mirror.history import BadDatabaseUrl
from mirror.history.database.address import database_url, describe, parameters
from mirror.history.database.engine import create_engine
from mirror.history.database.errors import HistoryError
from mirror.history.database.revision import current_revision


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        ("a%2Fb%40c", "a/b@c"),
        ("a/b+c=", "a/b+c="),
        ("50%off?#", "50%off?#"),
        ("pass:word", "pass:word"),
        ("p@ss@word", "p@ss@word"),
    ],
)
def test_a_password_is_taken_as_it_is_meant_escaped_or_not(
    monkeypatch: pytest.MonkeyPatch, scheme: str, written: str, meant: str
) -> None:
    monkeypatch.setenv(
        "MIRROR_DATABASE_URL", f"{scheme}://ops:{written}@db.example:5433/mirror?sslmode=require"
    )
    url = database_url()
    assert parameters(url) == {
        "user": "ops",
        "password": meant,
        "host": "db.example",
        "port": "5433",
        "dbname": "mirror",
        "sslmode": "require",
    }
    engine = create_engine(url)
    _, connect_to = engine.dialect.create_connect_args(engine.url)
    del connect_to["context"]  # how psycopg adapts values
    assert connect_to == parameters(url), "SQLAlchemy reads the same"
    assert describe(url) == "db.example:5433/mirror"


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "elsewhere", "postgresql:/h", "postgresql://h/d?nonsense=1"]
)
def test_an_invalid_address_is_reported_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    with pytest.raises(BadDatabaseUrl) as caught:
        database_url()
    assert "must be like postgresql://user:password@host:5432/mirror" in str(caught.value)
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://mirror:p@ss@w0rd-hunter2@127.0.0.1:1/mirror",
        "postgresql://mirror:hunter2@127.0.0.1:nope/mirror",
        "postgresql://mirror:hun ter2hunter2@[::1/mirror",
        "postgresql://mirror:hunter2\uff05@127.0.0.1:1/mirror",
        "postgresql://mirror:hunter2\u202e@127.0.0.1:1/mirror",
        "postgresql://mirror:hunter2\ud800@127.0.0.1:1/mirror",
        "postgresql://127.0.0.1:1/mirror?password=hunter2&bad",
        "postgres:/mirror:hunter2@h/m",
        "mirror:hunter2@127.0.0.1/mirror",
    ],
)
def test_no_error_about_an_address_shows_its_password(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    with pytest.raises(HistoryError) as raised:
        current_revision(written)
    shown = format_exception(raised.value)
    # The last entry of a traceback is what an uncaught error would print; code lines are ours.
    assert "hunter2" not in "".join(line for line in shown if not line.startswith("  File"))
    assert "\n" not in str(raised.value)
