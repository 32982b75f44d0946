"""The tags of one image at all its mirrors, in pages small enough for a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mirror.website.site_data import SiteData, SiteMirror, SiteTag

ROWS = 50  # a page of the site stays under 200 KB with all that it loads
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag at the source and what each mirror has of it, in the order of the image's mirrors."""

    name: str
    digest: str
    platforms: tuple[str, ...]
    size: int | None
    pushed_at: datetime | None
    at_mirrors: tuple[SiteTag | None, ...]


@dataclass(frozen=True, slots=True)
class TagPage:
    """One page of an image's tags."""

    image: ImageTags
    number: int  # from 1
    rows: tuple[TagRow, ...]

    @property
    def path(self) -> str:
        """Under the language's root, ending in a slash."""
        return page_path(self.image, self.number)


@dataclass(frozen=True, slots=True)
class ImageTags:
    """An image that is mirrored, and its tags, newest push first."""

    source: str
    slug: str  # "" for the first image, whose tags are at tags/
    mirrors: tuple[SiteMirror, ...]
    rows: tuple[TagRow, ...]

    @property
    def page_count(self) -> int:
        """At least one, which says that there is nothing yet."""
        return max(1, -(-len(self.rows) // ROWS))

    def pages(self) -> Iterator[TagPage]:
        """All pages in order."""
        for index in range(self.page_count):
            yield TagPage(self, index + 1, self.rows[index * ROWS : (index + 1) * ROWS])


def page_path(image: ImageTags, number: int) -> str:
    """`tags/`, `tags/2/`, `tags/bitnami-postgresql/`, `tags/bitnami-postgresql/2/`."""
    parts = ["tags", image.slug, str(number) if number > 1 else ""]
    return "/".join(part for part in parts if part) + "/"


def images(data: SiteData, first: str) -> tuple[ImageTags, ...]:
    """Every image of the mirrors shown whole; `first` leads even if nothing mirrors it yet."""
    repositories = [first, *sorted({mirror.status.source for mirror in data.whole} - {first})]
    return tuple(
        ImageTags(
            source=repository,
            slug="" if repository == first else _slug(repository),
            mirrors=data.of_source(repository),
            rows=_rows(data.of_source(repository)),
        )
        for repository in repositories
    )


def _slug(repository: str) -> str:
    return "image-" + re.sub(r"[^a-z0-9]+", "-", repository.partition("/")[2].lower()).strip("-")


def _rows(mirrors: tuple[SiteMirror, ...]) -> tuple[TagRow, ...]:
    by_mirror = [{tag.name: tag for tag in mirror.tags} for mirror in mirrors]
    names = {name: None for tags in by_mirror for name in tags}
    rows = []
    for name in names:
        at_mirrors = tuple(tags.get(name) for tags in by_mirror)
        newest = max((tag for tag in at_mirrors if tag), key=lambda tag: tag.pushed_at or _EPOCH)
        rows.append(
            TagRow(
                name=name,
                digest=newest.source_digest,
                platforms=newest.platforms,
                size=newest.size,
                pushed_at=newest.pushed_at,
                at_mirrors=at_mirrors,
            )
        )
    rows.sort(key=lambda row: (row.pushed_at or _EPOCH, row.name), reverse=True)
    return tuple(rows)
