"""The tags of a repository (distribution-spec v1.1, "Listing Tags").

Registries, proxies and people put odd things into lists: what is no tag is left out and reported,
what is no list is an error that quotes it, never an empty list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from mirror.outside_text import one_line
from mirror.registry.http import (
    ANSWER_SECONDS,
    ATTEMPTS,
    ListBudget,
    OptionalRequest,
    Request,
    Response,
    excerpt,
    is_cut,
)
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import BudgetExceeded, NotFound, RegistryError, is_tag, parse_json

_PAGES: Final = (1000, 100, 0)  # tags requested at once; 0: as many as the registry likes
_LEAST_NEWS: Final = 1_000  # pages in a row that may bring nothing new
_LIST_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class TagList:
    """Every tag, in the registry's order, and what was listed among them without being a tag."""

    tags: tuple[str, ...]
    odd: tuple[str, ...] = ()


async def list_tags(repository: RepositoryApi) -> TagList:
    """Every tag; Link is followed to its end, whatever a page holds.

    A page size that the registry refuses is made smaller, and then left out.
    Raises NotFound when the repository does not exist, ProtocolError for an invalid list.
    """
    capabilities = repository.registry.capabilities
    sizes = [
        size
        for size in _PAGES
        if size <= (_PAGES[0] if capabilities.page_size is None else capabilities.page_size)
    ]
    first, *smaller = sizes or [0]

    def plain(sizes: list[int]) -> Callable[[], Awaitable[TagList]]:
        async def listed() -> TagList:
            for size in sizes[:-1]:
                try:
                    found = await _list(repository, size, optional=True)
                except BudgetExceeded:
                    raise
                except RegistryError:
                    continue
                capabilities.page_size = size
                return found
            found = await _list(repository, sizes[-1])
            capabilities.page_size = sizes[-1]
            return found

        return listed

    if not smaller:
        return await _list(repository, first)
    try:
        return await repository.registry.prefer(
            OptionalRequest.PAGE_SIZE,
            lambda: _list(repository, first, optional=True),
            plain(smaller),
        )
    except _Absent as error:
        raise error.cause from None


class _Absent(Exception):
    """The repository does not exist: no page size changes that."""

    def __init__(self, cause: NotFound) -> None:
        super().__init__(str(cause))
        self.cause = cause


async def _list(repository: RepositoryApi, size: int, *, optional: bool = False) -> TagList:
    found: dict[str, None] = {}
    odd: dict[str, None] = {}
    url: str | None = f"{repository.base}/tags/list" + (f"?n={size}" if size else "")
    seen: set[str] = set()
    context = repository.context("listing the tags")
    budget = ListBudget("tags", repository.registry, context)
    stale = 0
    while url is not None:
        seen.add(url)
        request = Request("GET", url, context, repository.pull)
        if optional:
            request = Request(
                *("GET", url, context, repository.pull),
                attempts=ATTEMPTS,
                answer_in=2 * ANSWER_SECONDS,
            )
        budget.asking()
        try:
            response = await repository.registry.call(
                request, (200,), _LIST_BYTES, lambda response: _tags_of(repository, response)
            )
        except NotFound as error:
            if optional and len(seen) == 1 and error.code in ("NAME_UNKNOWN", "NOT_FOUND"):
                raise _Absent(error) from None
            raise
        before = len(found)
        for entry in _tags_of(repository, response):
            if isinstance(entry, str) and is_tag(entry):
                found[entry] = None
            else:
                odd[one_line(entry if isinstance(entry, str) else repr(entry), 90)] = None
        budget.page(response, len(found) + len(odd))
        url = repository.next_page(response, seen)
        stale = 0 if len(found) > before else stale + 1
        if stale > _LEAST_NEWS:
            raise repository.malformed("an endless tag list")
    return TagList(tuple(found), tuple(odd))


def _tags_of(repository: RepositoryApi, response: Response) -> list[Any]:
    """The entries of a page; `tags: null` alone is an empty one.

    Raises ProtocolError, transient where the page was cut.
    """
    try:
        document = parse_json(response.body)
        listed = document["tags"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_list(repository, response) from None
    if listed is None and not ({"errors", "error", "message"} & document.keys()):
        return []
    if not isinstance(listed, list) or (not listed and document.get("errors")):
        raise _no_list(repository, response)
    if listed and not any(isinstance(entry, str) for entry in listed):
        raise _no_list(repository, response)
    return listed


def _no_list(repository: RepositoryApi, response: Response) -> RegistryError:
    error = repository.malformed(f"an invalid tag list: {excerpt(response.body)}")
    error.transient = is_cut(response.body)
    return error
