"""The repositories of a registry (distribution HTTP API V2, "Listing Repositories").

`/v2/_catalog` is not part of distribution-spec v1.1; registries that offer it page it like tag
lists and want a token for the scope `registry:catalog:*` (distribution, "Token Scope
Documentation").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mirror.registry.http import (
    HttpSession,
    ListBudget,
    Request,
    RequestContext,
    Response,
    excerpt,
    headers,
    is_cut,
    resolve,
)
from mirror.registry.spec import ProtocolError, is_repository, parse_json

_PAGE: Final = 1000
_PAGE_BYTES: Final = 16 << 20
_SCOPES: Final = ("registry:catalog:*",)


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A repository in a list of repositories.

    name: its path in the registry. updated_at: when one of its tags was last pushed, UTC, where
    the list says so.
    """

    name: str
    updated_at: datetime | None = None


async def list_repositories(registry: HttpSession) -> tuple[ListedRepository, ...]:
    """Every repository, in the registry's order; Link is followed to its end.

    Entries that are no repository names are left out. Raises ProtocolError for an invalid list,
    NotFound or Denied where the registry offers none.
    """
    context = RequestContext(registry.host, "listing the repositories")
    url: str | None = f"{registry.endpoint.base}/v2/_catalog?n={_PAGE}"
    found: dict[str, ListedRepository] = {}
    seen: set[str] = set()

    budget = ListBudget("repositories", registry, context)

    def check(response: Response) -> None:
        _names_of(context, response)

    while url is not None:
        seen.add(url)
        request = Request("GET", url, context, _SCOPES)
        budget.asking()
        response = await registry.call(request, (200,), _PAGE_BYTES, check)
        before = len(found)
        for name in _names_of(context, response):
            if isinstance(name, str) and is_repository(name):
                found[name] = ListedRepository(name)
        budget.page(response, len(found))
        url = _next(registry, context, response)
        if url in seen or (url is not None and len(found) == before and len(seen) > _PAGE):
            break
    return tuple(found.values())


def _next(registry: HttpSession, context: RequestContext, response: Response) -> str | None:
    """The next page's address, at the registry that was asked, whatever host it names."""
    link = headers.next_link(response.headers.get("link"))
    if link is None:
        return None
    target = resolve(link, response.url)
    if target is None:
        message = "the registry returned a link to the next page that is not an address"
        raise context.error(ProtocolError, message)
    return f"{registry.endpoint.base}{target.raw_path.decode('ascii')}"


def _names_of(context: RequestContext, response: Response) -> list[Any]:
    try:
        document = parse_json(response.body)
        names = document["repositories"]
    except (ValueError, KeyError, TypeError, RecursionError):
        names = False
    if names is None and not ({"errors", "error", "message"} & document.keys()):
        return []
    if not isinstance(names, list) or (names and not any(isinstance(one, str) for one in names)):
        error = context.error(
            ProtocolError,
            f"the registry returned an invalid repository list: {excerpt(response.body)}",
        )
        error.transient = is_cut(response.body)
        raise error
    return names
