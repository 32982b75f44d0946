"""Lists that a repository gives page by page: its tags, and what refers to a manifest.

distribution-spec v1.1, "Listing Tags", "Listing Referrers", "Unavailable Referrers API".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import httpx

from mirror.registry import headers, media_type as mediatypes
from mirror.registry.descriptor import Descriptor, read_descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.errors import NotFound, RequestRefused, one_line
from mirror.registry.http import Answer, Ask
from mirror.registry.manifest import MAX_BYTES, load_object
from mirror.registry.reference import is_tag

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

_PAGE: Final = 1000  # tags asked for at once; registries give what they like
_MOST_TAGS: Final = 2_000_000
_MOST_PAGES: Final = 100_000
_LIST_BYTES: Final = 32 << 20


async def list_tags(repository: Repository) -> list[str]:
    """Every tag, in the registry's order; Link is followed to its end.

    Raises NotFound when the repository does not exist, ProtocolError for a list that is none.
    """
    found: dict[str, None] = {}
    url: str | None = f"{repository.base}/tags/list?n={_PAGE}"
    seen: set[str] = set()
    while url is not None:
        seen.add(url)
        where = repository.where("listing the tags")
        ask = Ask("GET", url, where, repository.pull)
        answer = await repository.registry.call(ask, (200,), _LIST_BYTES)
        before = len(found)
        found.update(dict.fromkeys(_tags_of(repository, answer)))
        url = _next(repository, answer, seen) if len(found) > before else None
        if len(found) > _MOST_TAGS or len(seen) > _MOST_PAGES:
            raise repository.wrong("a list of tags without an end")
    return list(found)


async def list_referrers(
    repository: Repository, digest: str, artifact_type: str | None, *, fallback: bool
) -> list[Descriptor]:
    """What refers to a manifest: by the referrers API, else (`fallback`) by the fallback tag."""
    subject = parse_digest(digest)
    abilities = repository.registry.abilities
    found: list[Descriptor] | None = None
    if abilities.referrers is not False:
        found = await _referrers_api(repository, digest, artifact_type)
        if found is not None or abilities.referrers is None:
            abilities.referrers = found is not None  # once seen, one odd answer unsays nothing
    if found is None and not fallback:
        return []
    if found is None:
        found = await _fallback(repository, f"{subject.algorithm}-{subject.encoded}")
    if artifact_type is not None:
        found = [one for one in found if one.artifact_type == artifact_type]
    return found


async def _referrers_api(
    repository: Repository, digest: str, artifact_type: str | None
) -> list[Descriptor] | None:
    """None where the registry has no such API."""
    found: dict[str, Descriptor] = {}
    query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
    url: str | None = f"{repository.base}/referrers/{digest}{query}"
    seen: set[str] = set()
    while url is not None:
        seen.add(url)
        where = repository.where("listing the referrers", digest)
        ask = Ask("GET", url, where, repository.pull, {"Accept": mediatypes.OCI_INDEX})
        try:
            answer = await repository.registry.call(ask, (200,), MAX_BYTES)
        except (NotFound, RequestRefused):
            return None
        if mediatypes.essence(answer.headers.get("content-type", "")) != mediatypes.OCI_INDEX:
            return None  # distribution 2 and proxies answer with something of their own
        before = len(found)
        found.update((one.digest, one) for one in _listed(repository, answer.body, digest))
        url = _next(repository, answer, seen) if len(found) > before else None
    return list(found.values())


async def _fallback(repository: Repository, tag: str) -> list[Descriptor]:
    try:
        manifest = await repository.get_manifest(tag)
    except NotFound:
        return []
    return list(manifest.children)


def _listed(repository: Repository, body: bytes, digest: str) -> list[Descriptor]:
    what = f"the referrers of {digest} at {repository.registry.host}/{repository.name}"
    listed = load_object(body, what).get("manifests")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise repository.wrong("a list of referrers that is none")
    return [read_descriptor(one, what) for one in listed]


def _tags_of(repository: Repository, answer: Answer) -> list[str]:
    try:
        listed = json.loads(answer.body).get("tags")
    except (ValueError, AttributeError, RecursionError):
        raise repository.wrong("a list of tags that is none") from None
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise repository.wrong("a list of tags that is none")
    for tag in listed:
        if not isinstance(tag, str) or not is_tag(tag):
            raise repository.wrong(f"a list of tags with {one_line(repr(tag), 80)} in it")
    return listed


def _next(repository: Repository, answer: Answer, seen: set[str]) -> str | None:
    """The next page, if it is the registry's own and not one that was read already."""
    link = headers.next_link(answer.headers.get("link"))
    if link is None:
        return None
    try:
        target = httpx.URL(answer.url).join(link)
        own = repository.registry.authorizes(str(target))
    except (httpx.InvalidURL, ValueError):
        raise repository.wrong("a link to the next page that is no address") from None
    # Behind a proxy that ends TLS, registries name themselves by http or another host: path and
    # query are what counts.
    base = repository.registry.endpoint.base
    url = str(target) if own else f"{base}{target.raw_path.decode('ascii')}"
    return None if url in seen else url
