"""What services report when an image is pushed, in the formats that they send.

Nothing in it is trusted: a report causes a look at the source, which says what there is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mirror.registry import is_tag

_MOST: Final = 100  # events that are read of one report
_LONGEST: Final = 255


class NotAReport(ValueError):
    """A body that no service of that kind sends."""


@dataclass(frozen=True)
class PushEvent:
    """A push as it was reported. repository: a path, with a host where the report names one."""

    repository: str
    tag: str | None


def read_report(kind: str, body: bytes) -> tuple[PushEvent, ...]:
    """The pushes of a report; none where it reports something else.

    Raises KeyError for an unknown kind, NotAReport for a body that is not of that kind.
    """
    read = _READERS[kind]
    try:
        document = json.loads(body)
        found = dict.fromkeys(_first(read(document)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise NotAReport(f"not a report of the kind {kind}") from error
    return tuple(found)


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether a report has GitHub's signature (X-Hub-Signature-256: sha256=HEX)."""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.encode(errors="replace"))


def sources_of(repository: str, sources: Iterable[str]) -> tuple[str, ...]:
    """The watched sources that a report may mean.

    Registries often know themselves by another name than their users do: the path decides.
    """
    paths = {repository, repository.partition("/")[2]}
    return tuple(one for one in sources if one == repository or one.partition("/")[2] in paths)


def _first(pairs: Iterator[tuple[Any, Any]]) -> Iterator[PushEvent]:
    for number, (repository, tag) in enumerate(pairs):
        if number >= _MOST:
            return
        if not isinstance(repository, str) or not _is_plain(repository):
            raise NotAReport("no repository")
        yield PushEvent(repository, tag if isinstance(tag, str) and is_tag(tag) else None)


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and name.isascii() and name.isprintable() and " " not in name


# https://docs.docker.com/docker-hub/repos/manage/webhooks/
def _docker_hub(report: Any) -> Iterator[tuple[Any, Any]]:
    yield report["repository"]["repo_name"], report["push_data"].get("tag")


# https://distribution.github.io/distribution/about/notifications/
def _distribution(report: Any) -> Iterator[tuple[Any, Any]]:
    for event in report["events"]:
        if event["action"] == "push" and "blob" not in event["target"].get("mediaType", ""):
            yield event["target"]["repository"], event["target"].get("tag")


# https://goharbor.io/docs/2.12.0/working-with-projects/project-configuration/configure-webhooks/
def _harbor(report: Any) -> Iterator[tuple[Any, Any]]:
    if report["type"] in ("PUSH_ARTIFACT", "pushImage"):
        data = report["event_data"]
        for resource in data["resources"]:
            yield data["repository"]["repo_full_name"], resource.get("tag")


# https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package
def _github(report: Any) -> Iterator[tuple[Any, Any]]:
    package = report.get("registry_package") or report.get("package")
    if package is None:  # the ping that GitHub sends first
        return
    version = package.get("package_version") or {}
    tag = ((version.get("container_metadata") or {}).get("tag") or {}).get("name")
    yield f"{package['namespace']}/{package['name']}".lower(), tag


# https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference
def _azure(report: Any) -> Iterator[tuple[Any, Any]]:
    if report["action"] == "push":
        yield report["target"]["repository"], report["target"].get("tag")


def _generic(report: Any) -> Iterator[tuple[Any, Any]]:
    yield report["repository"], report.get("tag")


_READERS: Final[Mapping[str, Callable[[Any], Iterator[tuple[Any, Any]]]]] = {
    "dockerhub": _docker_hub,
    "distribution": _distribution,
    "harbor": _harbor,
    "github": _github,
    "azure": _azure,
    "generic": _generic,
}
KINDS: Final = tuple(_READERS)
