"""Docker Hub's web API: tags with push times, 100 per request, newest first.

Lists can lag, miss tags and hold stale digests: hints, to be confirmed at the registry.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from mirror.outside_text import one_line
from mirror.registry.catalog import ListedRepository
from mirror.registry.http import (
    ANSWER_SECONDS,
    ATTEMPTS,
    HttpSession,
    ListBudget,
    Request,
    RequestContext,
    Response,
    excerpt,
    host_of,
    is_cut,
    resolve,
)
from mirror.registry.spec import (
    InvalidManifest,
    InvalidReference,
    ProtocolError,
    is_repository,
    is_tag,
    load_object,
    parse_digest,
)

_PAGE: Final = 100  # the most that Hub returns
_PAGE_BYTES: Final = 16 << 20
_LIST_BYTES: Final = 1 << 30  # 3 KB a tag, its images included
_MOST_NUMBER: Final = 2**63 - 1
_MOST_WORD: Final = 64  # characters of a part of a platform
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # no image was pushed before
_AHEAD: Final = timedelta(days=1)  # that a clock may be


@dataclass(frozen=True, slots=True)
class HubTag:
    """A tag as the web API lists it. digest: of the index or manifest, None where unknown.

    pushed_at: tag_last_pushed, UTC. size: bytes of the largest platform. status: active,
    inactive or stale.
    """

    name: str
    digest: str | None
    pushed_at: datetime | None
    size: int | None
    platforms: tuple[str, ...] = ()
    status: str | None = None


@dataclass(frozen=True, slots=True)
class HubPage:
    """One response: up to 100 tags, and how many the repository has in all."""

    tags: tuple[HubTag, ...]
    count: int | None
    odd: tuple[str, ...] = ()  # entries whose name is no tag: left out


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository in the web API."""

    pull_count: int | None
    private: bool | None


class HubApi:
    """The web API of a registry, over the registry's connections and counter.

    Raises ProtocolError at construction when the endpoint has no web API.
    """

    def __init__(self, registry: HttpSession) -> None:
        base = registry.endpoint.web_api
        if base is None:
            raise ProtocolError(f"{registry.host} has no web API (hub_api)", registry=registry.host)
        self._registry = registry
        self._base = base

    async def pages(
        self, repository: str, newest_first: bool = True
    ) -> AsyncGenerator[HubPage, None]:
        """The repository's tags, page by page, each requested when it is iterated to."""
        order = "&ordering=last_updated" if newest_first else ""
        url: str | None = f"{self._address(repository)}/tags?page_size={_PAGE}{order}"
        seen: set[str] = set()
        tags: set[str] = set()
        budget = self._budget("tags", repository, "listing the tags")
        while url is not None:
            seen.add(url)
            budget.asking()
            response, document = await self._get(url, repository, "listing the tags")
            results = document.get("results")
            if not isinstance(results, list):
                raise self._malformed(repository, "an invalid tag list")
            named = [entry for entry in results if _has_tag_name(entry)]
            tags.update(entry["name"] for entry in named)
            budget.page(response, len(tags))
            odd = [one_line(repr(_name(entry)), 90) for entry in results if entry not in named]
            if results and not named:
                raise self._malformed(repository, f"a tag list that names no tag: {odd[0]}")
            yield HubPage(
                tuple(self._tag(entry, repository) for entry in named),
                _number(document.get("count")),
                tuple(odd),
            )
            following = self._next(document.get("next"), url, repository) if results else None
            url = None if following in seen else following

    async def repositories(self, namespace: str) -> tuple[ListedRepository, ...]:
        """Every repository of a namespace, 100 per request (Docker Hub API, "List repositories").

        Raises NotFound for a namespace that does not exist, ProtocolError for an invalid list.
        """
        url: str | None = (
            f"{self._base}/v2/namespaces/{quote(namespace, safe='')}/repositories?page_size={_PAGE}"
        )
        found: dict[str, ListedRepository] = {}
        seen: set[str] = set()
        budget = self._budget("repositories", namespace, "listing the repositories")
        while url is not None:
            seen.add(url)
            budget.asking()
            response, document = await self._get(url, namespace, "listing the repositories")
            results = document.get("results")
            if not isinstance(results, list):
                raise self._malformed(namespace, "an invalid repository list")
            before = len(found)
            for entry in results:
                name = f"{namespace}/{_name(entry)}"
                if isinstance(entry, dict) and is_repository(name):
                    found[name] = ListedRepository(name, self._moment(entry.get("last_updated")))
            budget.page(response, len(found))
            following = self._next(document.get("next"), url, namespace) if results else None
            if following in seen or len(found) == before:
                break
            url = following
        return tuple(found.values())

    async def repository_info(self, repository: str) -> HubRepository:
        """The pull count, and whether the repository is private."""
        _, found = await self._get(self._address(repository), repository, "reading the repository")
        private = found.get("is_private")
        return HubRepository(
            _number(found.get("pull_count")), private if isinstance(private, bool) else None
        )

    def _address(self, repository: str) -> str:
        if not is_repository(repository):
            raise InvalidReference(f"{repository!r} is not a repository name")
        namespace, _, name = repository.partition("/")
        if not name:
            namespace, name = "library", namespace
        return f"{self._base}/v2/namespaces/{quote(namespace)}/repositories/{quote(name, safe='')}"

    def _context(self, repository: str, doing: str) -> RequestContext:
        by = f"{doing} by the web API {host_of(self._base)}"
        return RequestContext(self._registry.host, by, repository)

    def _budget(self, noun: str, repository: str, doing: str) -> ListBudget:
        return ListBudget(noun, self._registry, self._context(repository, doing), _LIST_BYTES)

    async def _get(self, url: str, repository: str, doing: str) -> tuple[Response, dict[str, Any]]:
        context = self._context(repository, doing)
        accept = {"Accept": "application/json"}
        request = Request(
            *("GET", url, context),
            headers=accept,
            authorize=False,
            attempts=ATTEMPTS,
            answer_in=2 * ANSWER_SECONDS,
        )

        def check(response: Response) -> None:
            if is_cut(response.body):
                error = self._malformed(repository, f"a cut list: {excerpt(response.body)}")
                error.transient = True
                raise error

        response = await self._registry.call(request, (200,), _PAGE_BYTES, check)
        try:
            return response, load_object(response.body, "the response")
        except InvalidManifest as error:
            raise self._malformed(repository, f"no tag list or repository: {error}") from None

    def _tag(self, entry: object, repository: str) -> HubTag:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(name, str) or not is_tag(name):
            raise self._malformed(repository, "a tag without a name")
        images = [one for one in _list(entry.get("images")) if isinstance(one, dict)]
        sizes = [size for one in images if (size := _number(one.get("size"))) is not None]
        return HubTag(
            name=name,
            digest=_digest(entry.get("digest")),
            pushed_at=self._moment(entry.get("tag_last_pushed")),
            size=max(sizes) if sizes else _number(entry.get("full_size")),
            platforms=tuple(platform for one in images if (platform := _platform(one))),
            status=_text(entry.get("tag_status")),
        )

    def _next(self, link: object, url: str, repository: str) -> str | None:
        """The next page's address, at the web API that was asked, whatever host it names."""
        if not isinstance(link, str) or not link:
            return None
        target, own = resolve(link, url), resolve("", url)
        if target is None or own is None:
            raise self._malformed(repository, "a next page that is not an address")
        return str(own.copy_with(raw_path=target.raw_path))

    def _moment(self, value: object) -> datetime | None:
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
            if found is None:
                return None
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        return found if _FIRST <= found <= self._registry.clock.now() + _AHEAD else None

    def _malformed(self, repository: str, what: str) -> ProtocolError:
        context = RequestContext(self._registry.host, "", repository)
        return context.error(ProtocolError, f"the web API {host_of(self._base)} returned {what}")


def _name(entry: object) -> object:
    return entry.get("name") if isinstance(entry, dict) else entry


def _has_tag_name(entry: object) -> bool:
    name = entry.get("name") if isinstance(entry, dict) else None
    return isinstance(name, str) and is_tag(name)


def _platform(image: dict[str, Any]) -> str | None:
    system, architecture = _text(image.get("os")), _text(image.get("architecture"))
    if not system or not architecture or architecture == "unknown":
        return None
    variant = _text(image.get("variant"))
    words = (system, architecture, variant or "")
    if any(len(word) > _MOST_WORD or not word.isprintable() for word in words):
        return None
    return f"{system}/{architecture}/{variant}" if variant else f"{system}/{architecture}"


def _digest(value: object) -> str | None:
    try:
        return str(parse_digest(value)) if isinstance(value, str) else None
    except InvalidReference:
        return None


def _number(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST_NUMBER else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
