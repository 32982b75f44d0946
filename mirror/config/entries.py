"""One entry of mirrors.yaml for many repositories: `source: docker.io/bitnami/*`.

Each repository that the source lists and the entry admits is a mirror named ENTRY/REPOSITORY, with
the entry's policy. Which there are is found out by asking the source
(mirror/sync/tags/repositories.py) and kept in the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from mirror.config.base import ConfigModel
from mirror.config.models import MirrorPolicy, MirrorSettings
from mirror.config.registry_names import repository
from mirror.errors import ConfigError
from mirror.registry import is_repository, known_registry

_PLACE = "repository-name"  # in the place of the star, where a repository is checked


def is_pattern(source: object) -> bool:
    """Whether a mirror's source names many repositories."""
    return isinstance(source, str) and "*" in source


def _source(value: str) -> str:
    if value.count("*") != 1 or not value.endswith("*"):
        raise ValueError(f"{value!r}: write one * at the end, such as docker.io/bitnami/*")
    name = repository(value.replace("*", _PLACE))
    if name.startswith("docker.io/") and name.count("/") != 2:
        raise ValueError(f"{value!r} names no namespace of Docker Hub; write docker.io/NAMESPACE/*")
    return name.removesuffix(_PLACE) + "*"


def _target(value: str) -> str:
    if value.count("*") != 1:
        raise ValueError(
            f"{value!r}: write * once, where the repository's name goes, such as"
            " registry.example.com/team/bitnami_*"
        )
    host, _, path = value.partition("/")
    if "*" in host or not path:
        raise ValueError(f"{value!r}: the * belongs behind the registry's host")
    return repository(value.replace("*", _PLACE)).replace(_PLACE, "*")


def _pattern(value: str) -> str:
    if value.startswith("re:"):
        try:
            re.compile(value[3:])
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    elif wrong := re.search(r"[^a-z0-9._\-/*?\[\]!]", value):
        raise ValueError(
            f"{value!r} matches no repository: names have no {wrong[0]!r}; write each pattern as"
            " an item of the list, a regular expression after re:"
        )
    return value


RepositoryPattern = Annotated[str, AfterValidator(_pattern)]


class RepositoriesPolicy(ConfigModel):
    """Which repositories an entry mirrors: globs on the part of the path that the * replaces."""

    include: tuple[RepositoryPattern, ...] = ("*",)
    exclude: tuple[RepositoryPattern, ...] = ()
    file: Path | None = None  # one name per line, instead of asking the source


_POLICY = set(MirrorPolicy.model_fields) - {"name", "source", "target"}


class EntrySettings(MirrorPolicy):
    """One entry for many repositories, with the policy of each."""

    source: Annotated[str, AfterValidator(_source)]
    target: Annotated[str, AfterValidator(_target)]
    repositories: RepositoriesPolicy = RepositoriesPolicy()

    @property
    def registry(self) -> str:
        """The source's `host[:port]`."""
        return self.source.partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the repositories' paths at the source begin with, such as `bitnami/`."""
        return self.source.partition("/")[2].removesuffix("*")

    def admits(self, name: str) -> bool:
        """Whether the repository whose path is prefix + name is mirrored."""
        return (
            is_repository(f"{self.prefix}{name}")
            and _matches(name, self.repositories.include)
            and not _matches(name, self.repositories.exclude)
        )

    def mirror(self, name: str) -> MirrorSettings:
        """The mirror of one repository by its name: the part of the path that the * replaces.

        A `/` in the name becomes `_` where the target's registry takes no deeper paths. Raises
        ConfigError for a name that makes no repository at the target.
        """
        host, _, path = self.target.partition("/")
        flat = known_registry(host).flat
        target = f"{host}/{path.replace('*', name.replace('/', '_') if flat else name)}"
        if not is_repository(target.partition("/")[2]):
            raise ConfigError(
                f"mirrors.{self.name}: {target} is not a repository name, for the source's {name};"
                " exclude it under repositories"
            )
        policy = {key: getattr(self, key) for key in _POLICY}
        return MirrorSettings(
            name=f"{self.name}/{name}",
            source=f"{self.registry}/{self.prefix}{name}",
            target=target,
            **policy,
        )

    def mirrors(self, names: Iterable[str]) -> tuple[MirrorSettings, ...]:
        """The mirrors of those repositories that the entry admits.

        Raises ConfigError that names both, where two of them would have one target.
        """
        found: dict[str, MirrorSettings] = {}
        for name in names:
            if not self.admits(name):
                continue
            mirror = self.mirror(name)
            if (other := found.setdefault(mirror.target, mirror)) is not mirror:
                raise ConfigError(
                    f"mirrors.{self.name}: {other.source} and {mirror.source} would both be copied"
                    f" to {mirror.target}; exclude one under repositories"
                )
        return tuple(found.values())


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(
        re.fullmatch(pattern[3:], name) is not None
        if pattern.startswith("re:")
        else fnmatchcase(name, pattern)
        for pattern in patterns
    )
