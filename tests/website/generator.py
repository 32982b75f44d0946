"""What the tests of the compose file's generator share: it runs in the page that uses it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

WHEN = "2026-11-24T08:05:09.700Z"
WELL: dict[str, Any] = {"workdirPath": "/srv/repos", "claudeToken": "sk-1"}
FULL: dict[str, Any] = {**WELL, "profile": "full-custom"}


def generated(page: Page, many: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the generator makes of each options object, in the page that uses it."""
    answer: list[dict[str, Any]] = page.evaluate(
        """async ([many, when]) => {
            const { generate } = await import(new URL("../assets/compose.js", location));
            const facts = JSON.parse(document.getElementById("facts").textContent);
            return many.map((options) => generate(options, facts, new Date(when)));
        }""",
        [many, WHEN],
    )
    return answer
