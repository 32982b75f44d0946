"""The files of site/data as frozen models, and where the site's own files are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")  # the first one is at the root of the site


class _Entry(BaseModel):
    """Frozen, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Entry):
    """The same in both languages."""

    zh: str
    en: str

    def __getitem__(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class Texts(_Entry):
    """The same list in both languages."""

    zh: tuple[str, ...]
    en: tuple[str, ...]

    def __getitem__(self, language: Language) -> tuple[str, ...]:
        return self.zh if language == "zh" else self.en


class Promise(_Entry):
    """What a source is meant to give; the history says what it gives."""

    speed: Text
    delay: Text
    stability: Text


class Source(_Entry):
    """A registry that HagiCode can be pulled from."""

    id: str
    repository: str  # registry/name
    image: str  # with {tag}
    page: str | None  # of the repository, for people
    china: bool
    name: Text
    description: Text
    use: Text
    reason: Text
    pros: Texts
    caveats: Texts
    promise: Promise

    @property
    def is_mirror(self) -> bool:
        """Whether it is filled by a sync (everything but the original)."""
        return not self.repository.startswith("docker.io/")

    @property
    def registry(self) -> str:
        """The host that serves pulls."""
        host = self.repository.partition("/")[0]
        return "registry-1.docker.io" if host == "docker.io" else host

    def reference(self, tag: str) -> str:
        """What follows `docker pull`."""
        return self.image.replace("{tag}", tag)


class Link(_Entry):
    """An entry of the navigation bar; `page` is one of the site, `href` an address outside."""

    id: str
    label: str
    href: str | None = None
    page: str | None = None
    new_tab: bool = False
    lang: str | None = None  # of the label, where it is not the page's own


def site_folder() -> Path:
    """Where the site's pages, theme, scripts and data are: in the checkout, or in the wheel."""
    packaged = Path(__file__).parent / "site"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "site"


def data_file(name: str) -> Any:
    """A file of site/data, parsed. The compose builder's scripts read some as they are."""
    return json.loads((site_folder() / "data" / f"{name}.json").read_text(encoding="utf-8"))


@cache
def sources() -> tuple[Source, ...]:
    """The mirror sources, in the order shown."""
    return tuple(Source.model_validate(entry) for entry in data_file("sources"))


@cache
def links() -> tuple[Link, ...]:
    """The navigation bar, in its order."""
    return tuple(Link.model_validate(entry) for entry in data_file("links"))
