"""Which tags are mirrored, under which name, and which of them move.

A release such as `0.1.0-beta.78` is pushed under floating tags (`0.1.0`, `0.1`, `0`, `latest`) too.
Among tags with one digest the most specific is the exact release; the others float.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache

from semantic_version import NpmSpec, Version

from mirror.config import MirrorSettings

_SPECIFIC = re.compile(r"v?\d+(\.\d+)?(\.\d+)?([-+][0-9A-Za-z.+-]+)?")
# Cosign's tag scheme and the referrers tag scheme (distribution-spec 1.1, "Referrers Tag Schema").
_COMPANION = re.compile(r"(?P<algorithm>sha256|sha512)-(?P<hex>[0-9a-f]{64,128})(\.[a-z0-9]+)?")
_NUMBERS = re.compile(r"(\d+)")


def subject_of(tag: str) -> str | None:
    """The digest that a companion tag (`sha256-<hex>[.sig|.att|.sbom]`) belongs to, else None."""
    match = _COMPANION.fullmatch(tag)
    return f"{match['algorithm']}:{match['hex']}" if match else None


def companion_prefix(digest: str) -> str:
    """How the names of a digest's companion tags begin: `sha256-<hex>`."""
    return digest.replace(":", "-", 1)


@lru_cache(maxsize=65_536)
def specificity(tag: str) -> int:
    """How exactly a tag names a release: `1.2.3-rc.1` 4, `1.2.3` 3, `1.2` 2, `1` 1, others 0."""
    match = _SPECIFIC.fullmatch(tag)
    if not match:
        return 0
    _, patch, suffix = match.groups()
    if suffix:
        return 4
    return 1 + (match[1] is not None) + (patch is not None)


def natural_key(tag: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `0.1.0-beta.9` before `0.1.0-beta.10`."""
    return tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part) for part in _NUMBERS.split(tag)
    )


@dataclass(frozen=True)
class TagRules:
    """The tag strategy of one mirror (`tags:` in mirrors.yaml)."""

    include: tuple[str, ...] = ("*",)  # globs, or regular expressions after `re:`
    exclude: tuple[str, ...] = ()
    semver: str | None = None  # an NPM-style range; names that are no version are left out
    newest: int | None = None  # by push time, else by detection, else by version
    immutable: tuple[str, ...] = ()
    rename: str | None = None  # template with {tag}
    backup: str | None = None  # template with {tag}, {digest}, {date}
    delete_after: timedelta | None = None
    delete_share: float = 0.1  # of the mirror's tags, lost within the grace period at most
    companions: bool = True  # sha256-… tags travel with their image

    @cached_property
    def _range(self) -> NpmSpec | None:
        return NpmSpec(self.semver) if self.semver else None

    @property
    def admits_all(self) -> bool:
        """True if include, semver and newest leave nothing out."""
        return self.include == ("*",) and self.semver is None and self.newest is None

    def admits(self, tag: str) -> bool:
        """True if include, exclude and semver let the tag pass (newest is asked of all at once)."""
        if not matches(tag, self.include) or matches(tag, self.exclude):
            return False
        if self._range is None:
            return True
        try:
            return Version(tag.removeprefix("v")) in self._range
        except ValueError:
            return False

    def is_immutable(self, tag: str) -> bool:
        """True if a tag that was mirrored once must never be overwritten.

        Never for companion tags: each further signature of an image moves them.
        """
        return subject_of(tag) is None and matches(tag, self.immutable)

    def target_name(self, tag: str) -> str:
        """The tag's name at the target. Companion tags are found by their name: they keep it."""
        return self.rename.replace("{tag}", tag) if self.rename and not subject_of(tag) else tag

    def backup_name(self, tag: str, digest: str, now: datetime) -> str | None:
        """Under which tag what is about to be overwritten is kept; None: it is not."""
        if not self.backup:
            return None
        name = self.backup.replace("{tag}", tag).replace("{digest}", digest.partition(":")[2][:12])
        return name.replace("{date}", now.astimezone(UTC).strftime("%Y%m%d"))[:128]

    def newest_of(self, tags: Iterable[tuple[str, datetime | None]]) -> set[str]:
        """The names that `newest` leaves: pushed (or detected) last, then the highest version.

        Companion tags are not counted among them.
        """
        if self.newest is None:
            return {name for name, _ in tags}
        epoch = datetime.min.replace(tzinfo=UTC)
        ranked = sorted(
            ((name, when or epoch) for name, when in tags if not subject_of(name)),
            key=lambda item: (item[1], natural_key(item[0])),
            reverse=True,
        )
        return {name for name, _ in ranked[: self.newest]}


def matches(tag: str, patterns: Sequence[str]) -> bool:
    """True if one of the globs or `re:` patterns fits the whole tag."""
    return any(
        re.fullmatch(pattern[3:], tag) is not None
        if pattern.startswith("re:")
        else fnmatchcase(tag, pattern)
        for pattern in patterns
    )


def exact_of(tags: Iterable[str]) -> frozenset[str]:
    """Of tags that share a digest, those that name the release exactly; the others float.

    Empty where none is more specific than another, since then nothing has to wait.
    """
    ranks = {tag: specificity(tag) for tag in tags if not subject_of(tag)}
    highest = max(ranks.values(), default=0)
    if highest == min(ranks.values(), default=0):
        return frozenset()
    return frozenset(tag for tag, rank in ranks.items() if rank == highest)


def tag_rules_of(mirror: MirrorSettings) -> TagRules:
    """The tag strategy that mirrors.yaml sets for a mirror."""
    tags = mirror.tags
    return TagRules(
        include=tags.include,
        exclude=tags.exclude,
        semver=tags.semver,
        newest=tags.newest,
        immutable=tags.immutable,
        rename=tags.rename,
        backup=tags.backup,
        delete_after=tags.delete_after,
        delete_share=tags.delete_share,
        companions=mirror.referrers,
    )
