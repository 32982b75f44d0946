"""Ready queries on the record: mirror/history/sql, each a file whose first line is its question."""

from __future__ import annotations

from importlib.resources import files

_FOLDER = files("mirror.history") / "sql"

QUERIES: dict[str, str] = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in sorted(_FOLDER.iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
}


def question(name: str) -> str:
    """What a ready query answers."""
    return QUERIES[name].splitlines()[0].removeprefix("-- ")
