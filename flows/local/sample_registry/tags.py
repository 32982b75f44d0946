"""tags/list and the catalogue (distribution-spec v1.1, "Listing Tags")."""

from __future__ import annotations

from urllib.parse import urlencode

from flows.local.fake_registry.answers import Answer, RefusalError, json_answer
from flows.local.fake_registry.call import Call


async def list_tags(call: Call) -> Answer:
    """Tags in lexical order, after `last`, at most `n`, with a Link to the next page."""
    page, headers = _page(call, f"/v2/{call.repository}/tags/list", sorted(call.held.tags))
    return json_answer({"name": call.repository, "tags": page}, headers=headers)


async def list_repositories(call: Call) -> Answer:
    """Repository names, paged like tags."""
    page, headers = _page(call, "/v2/_catalog", sorted(call.store.repositories))
    return json_answer({"repositories": page}, headers=headers)


def _page(call: Call, path: str, names: list[str]) -> tuple[list[str], dict[str, str]]:
    asked = call.query.get("n")
    if asked is not None and not asked.isdigit():
        raise RefusalError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    if not call.behaviour.honours_n and call.behaviour.page_limit is None:
        return names, {}
    limit = int(asked) if asked is not None and call.behaviour.honours_n else len(names)
    if call.behaviour.page_limit is not None:
        limit = min(limit, call.behaviour.page_limit)
    after = [name for name in names if name > call.query.get("last", "")]
    page = after[:limit]
    if not page or len(page) == len(after):
        return page, {}
    query = urlencode({"last": page[-1], "n": limit})
    return page, {"Link": f'<{path}?{query}>; rel="next"'}
