"""The documentation as a book: every page is in the index, every link leads somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from mirror.config import load_settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [link for link in LINK.findall(text) if "://" not in link]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def said() -> list[str]:
    """Every text constant of the program, without docstrings of the language's tree."""
    found = []
    for room in ("mirror", "flows"):
        for file in (ROOT / room).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    return found


def test_every_page_is_in_the_index() -> None:
    listed = {link.partition("#")[0] for link in links(DOCS / "README.md")}
    assert {page.name for page in PAGES} - {"README.md"} - listed == set()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "README.zh.md", *PAGES], ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_messages_of_the_troubleshooting_page_are_those_of_the_program() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(messages) >= 20
    texts = said()
    for message in messages:
        pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 2]
        assert pieces, message
        for piece in pieces:
            assert any(piece in each for each in texts), f"{message}: nothing says {piece!r}"


def test_the_first_mirror_can_be_read(tmp_path: Path) -> None:
    text = (DOCS / "first-mirror.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "mirrors.yaml"
    path.write_text(example, encoding="utf-8")
    settings = load_settings(path)
    assert list(settings.mirrors) == list(yaml.safe_load(example)["mirrors"])
    for registry in settings.registries.values():
        for name in (registry.username_env, registry.password_env):
            assert f"export {name}" in text or f"&& export {name}" in text
