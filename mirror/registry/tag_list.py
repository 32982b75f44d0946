"""The tags of a repository (distribution-spec v1.1, "Listing Tags")."""

from __future__ import annotations

import json
from typing import Final

from mirror.registry.errors import one_line
from mirror.registry.reference import is_tag
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.request import Request, Response

_PAGE: Final = 1000  # tags requested at once; registries return what they like
_MOST_TAGS: Final = 2_000_000
_MOST_PAGES: Final = 100_000
_LIST_BYTES: Final = 32 << 20


async def list_tags(repository: RepositoryApi) -> list[str]:
    """Every tag, in the registry's order; Link is followed to its end.

    Raises NotFound when the repository does not exist, ProtocolError for an invalid list.
    """
    found: dict[str, None] = {}
    url: str | None = f"{repository.base}/tags/list?n={_PAGE}"
    seen: set[str] = set()
    context = repository.context("listing the tags")
    while url is not None:
        seen.add(url)
        request = Request("GET", url, context, repository.pull)
        response = await repository.registry.call(request, (200,), _LIST_BYTES)
        before = len(found)
        found.update(dict.fromkeys(_tags_of(repository, response)))
        url = repository.next_page(response, seen) if len(found) > before else None
        if len(found) > _MOST_TAGS or len(seen) > _MOST_PAGES:
            raise repository.malformed("an endless tag list")
    return list(found)


def _tags_of(repository: RepositoryApi, response: Response) -> list[str]:
    try:
        listed = json.loads(response.body).get("tags")
    except (ValueError, AttributeError, RecursionError):
        raise repository.malformed("an invalid tag list") from None
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise repository.malformed("an invalid tag list")
    for tag in listed:
        if not isinstance(tag, str) or not is_tag(tag):
            raise repository.malformed(f"a tag list that contains {one_line(repr(tag), 80)}")
    return listed
