"""Blobs, tags and referrers as registries serve them that differ from the specification."""

from __future__ import annotations

import secrets
from dataclasses import replace

from multidict import CIMultiDict

from flows.local.sample_registry import blobs, listings
from flows.local.sample_registry.replies import RefusalError, Reply
from tests.support.fake_registry.call import FakeCall, without


async def get_blob(call: FakeCall) -> Reply:
    """GET and HEAD of a blob: a redirect to the CDN, or without ranges."""
    if call.cdn is not None and call.method == "GET":
        blobs.find_blob(call)
        path = f"/v2/{call.repository}/blobs/{call.reference}"
        return Reply(307, {"Location": f"{call.cdn}{path}?signature={secrets.token_hex(8)}"})
    if call.behaviour.range_reads:
        return await blobs.get_blob(call)
    headers = CIMultiDict(call.headers)
    headers.popall("Range", None)
    reply = await blobs.get_blob(replace(call, headers=headers))
    return replace(reply, headers=without(reply, "Accept-Ranges"))


async def list_tags(call: FakeCall) -> Reply:
    """Tags, with `n` ignored or bounded."""
    return await listings.list_tags(_paged(call))


async def list_repositories(call: FakeCall) -> Reply:
    """Repository names, paged like tags."""
    return await listings.list_repositories(_paged(call))


async def list_referrers(call: FakeCall) -> Reply:
    """Referrers, where the registry has that API."""
    if not call.behaviour.referrers:
        raise RefusalError(404, "NOT_FOUND", "404 page not found")
    return await listings.list_referrers(call)


def _paged(call: FakeCall) -> FakeCall:
    behaviour, query = call.behaviour, dict(call.query)
    if not behaviour.honours_n:
        query.pop("n", None)
        if behaviour.page_limit is None:
            query.pop("last", None)
    asked = query.get("n", "")
    if behaviour.page_limit is not None and (not asked or asked.isdigit()):
        query["n"] = str(min(int(asked or behaviour.page_limit), behaviour.page_limit))
    return replace(call, query=query)
