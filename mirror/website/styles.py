"""Style sheets without the rules that no page of the site can use.

Material's sheet styles a hundred components, most of which the site does not have; a phone on a
slow line would still have to fetch them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import tinycss2

_CLASSES = re.compile(r'\bclass="([^"]*)"')
_WORDS = re.compile(r"[\w-]+")
_NESTING = {"media", "supports", "layer"}  # at-rules that hold rules


def prune_styles(folder: Path) -> None:
    """Rewrite each style sheet below `folder` for the pages and scripts in it.

    Each is named by a hash of its content, so that browsers may cache it for ever.
    """
    used = frozenset(_used(folder))
    renamed: dict[str, str] = {}
    for sheet in sorted(folder.rglob("*.css")):
        text = pruned(sheet.read_text(encoding="utf-8"), used)
        digest = sha256(text.encode()).hexdigest()[:12]
        fresh = sheet.with_name(f"{sheet.name.partition('.')[0]}.{digest}.css")
        fresh.write_text(text, encoding="utf-8")
        sheet.unlink()
        renamed[f"/{sheet.name}"] = f"/{fresh.name}"
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for old, new in renamed.items():
            text = text.replace(old, new)
        page.write_text(text, encoding="utf-8")


def pruned(sheet: str, used: frozenset[str]) -> str:
    """The style sheet without selectors that name a class outside `used`, and without comments.

    Selectors in parentheses, as in `:not(.class)`, are ignored.
    """
    rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return "\n".join(_kept(rules, used)) + "\n"


def _used(folder: Path) -> Iterator[str]:
    for page in folder.rglob("*.html"):
        for names in _CLASSES.findall(page.read_text(encoding="utf-8")):
            yield from names.split()
    for script in folder.rglob("*.js"):  # any word of a script may be a class that it sets
        yield from _WORDS.findall(script.read_text(encoding="utf-8"))


def _kept(rules: Iterable[Any], used: frozenset[str]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            if selectors := [part for part in _selectors(rule.prelude) if _may_match(part, used)]:
                names = ",".join(tinycss2.serialize(part).strip() for part in selectors)
                yield f"{names}{{{tinycss2.serialize(rule.content).strip()}}}"
        elif rule.type == "at-rule" and rule.at_keyword in _NESTING and rule.content is not None:
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            if body := "".join(_kept(inner, used)):
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{body}}}"
        elif rule.type == "at-rule":
            yield rule.serialize()


def _selectors(prelude: list[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _may_match(selector: list[Any], used: frozenset[str]) -> bool:
    return all(
        name.value in used
        for dot, name in pairwise(selector)
        if dot.type == "literal" and dot.value == "." and name.type == "ident"
    )
