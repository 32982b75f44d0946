"""docs/commands.md is what the commands print, and no command is missing."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from flows.cli.app import COMMANDS
from mirror.history import PostgresRecorder
from tests.cli.commands_page import PAGE, page
from tests.history.made_history import make_counts, make_history, make_pulls


@pytest.fixture
async def history(
    recorder: PostgresRecorder, engine: sa.Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The made history, as the database of the environment, in a terminal of 80 columns."""
    await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PAGER", "cat")


async def test_the_page_is_what_the_commands_print(history: None, engine: sa.Engine) -> None:
    text = page(engine)
    if os.environ.get("MIRROR_WRITE_PAGES"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, (
        "MIRROR_WRITE_PAGES=1 .venv/bin/pytest tests/cli/test_commands_page.py writes it again"
    )
    assert all(f"\n## mirror {name}\n" in text for name in COMMANDS)


async def test_no_line_in_a_terminal_is_wider_than_80_columns(
    history: None, engine: sa.Engine
) -> None:
    blocks = page(engine).split("In a terminal of 80 columns:\n\n```\n")[1:]
    assert len(blocks) == 7
    for block in blocks:
        lines = block.partition("\n```\n")[0].splitlines()
        assert [line for line in lines if len(line) > 80] == []
