"""What the tests of the compose builder share: opening it, filling it in, reading its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Page, expect

WORDS = json.loads(
    (Path(__file__).parents[2] / "site" / "data" / "builder-words.json").read_text("utf-8")
)
SECRET = "sk-very-secret"


def opened(room: tuple[Page, str], language: str, query: str = "") -> Page:
    """The builder, fresh."""
    page, address = room
    page.goto(f"{address}{'' if language == 'zh' else 'en/'}compose-builder/{query}")
    return page


def full(room: tuple[Page, str], language: str) -> Page:
    """The full profile with every required field filled in."""
    page = opened(room, language, "?profile=full-custom")
    page.fill("#workdirPath", "/srv/repos")
    page.fill("#claudeToken", SECRET)
    expect(page.locator("#copy")).to_be_enabled()
    return page


def tick(page: Page, executor: str, on: bool = True) -> None:
    page.set_checked(f'input[name="executors"][value="{executor}"]', on)


def file_of(page: Page) -> dict[str, Any]:
    """The file in the preview, parsed."""
    document: dict[str, Any] = yaml.safe_load(page.locator("#compose").inner_text())
    return document


def take(page: Page, steps: list[tuple[str, str, Any]]) -> None:
    for action, field, what in steps:
        if action == "fill":
            page.fill(f"#{field}", what)
        elif action == "select":
            page.select_option(f"#{field}", what)
        elif action == "check":
            page.set_checked(f"#{field}", what)
        elif action == "try":
            page.click("#copy", force=True)
        else:
            tick(page, field, what)
