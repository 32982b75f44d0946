"""What refers to a manifest: signatures, SBOMs, attestations.

distribution-spec v1.1, "Listing Referrers" and "Unavailable Referrers API".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from mirror.registry.http import (
    ANSWER_SECONDS,
    ATTEMPTS,
    ListBudget,
    OptionalRequest,
    Request,
    Response,
    excerpt,
    is_cut,
    means_another_way,
)
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    MAX_BYTES,
    Descriptor,
    InvalidManifest,
    NotFound,
    RegistryError,
    load_object,
    media_type,
    parse_digest,
    read_descriptor,
)

_STALE_PAGES: Final = 20  # in a row that may bring nothing new


def fallback_tag(digest: str) -> str:
    """The tag under which clients keep the referrers of a manifest where there is no API."""
    subject = parse_digest(digest)
    return f"{subject.algorithm}-{subject.encoded}"


async def list_referrers(
    repository: RepositoryApi, digest: str, artifact_type: str | None
) -> list[Descriptor] | None:
    """What refers to a manifest by the referrers API; None where the registry has none.

    What the registry turns out to support is noted in its capabilities, and any failure but a 404
    with its reason: what refers to the manifest is then unknown.
    """
    subject = str(parse_digest(digest))
    capabilities = repository.registry.capabilities
    if capabilities.referrers is False:
        return None
    known = capabilities.referrers
    try:
        found = await _by_api(repository, subject, artifact_type)
    except NotFound:
        found = None
    except RegistryError as error:
        if not means_another_way(OptionalRequest.REFERRERS, error):
            raise
        capabilities.remember(OptionalRequest.REFERRERS, error, repository.registry.clock.now())
        found = None
    # Once it was there, one odd response does not prove that it is gone.
    capabilities.referrers = found is not None or bool(known)
    return found


async def _by_api(
    repository: RepositoryApi, digest: str, artifact_type: str | None
) -> list[Descriptor] | None:
    found: dict[str, Descriptor] = {}
    query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
    url: str | None = f"{repository.base}/referrers/{digest}{query}"
    seen: set[str] = set()
    stale = 0
    context = repository.context("listing the referrers", digest)
    accept = {"Accept": media_type.OCI_INDEX}

    budget = ListBudget("referrers", repository.registry, context)

    def check(response: Response) -> None:
        stated = media_type.essence(response.headers.get("content-type", ""))
        if stated != media_type.OCI_INDEX:  # distribution 2 and proxies answer with something else
            raise repository.malformed(f"no list of referrers: {excerpt(response.body)}")
        try:
            _listed(repository, response.body, digest)
        except InvalidManifest as error:
            error.transient = is_cut(response.body)
            raise

    while url is not None:
        seen.add(url)
        request = Request(
            *("GET", url, context, repository.pull, accept),
            attempts=ATTEMPTS,
            answer_in=ANSWER_SECONDS,
        )
        budget.asking()
        response = await repository.registry.call(request, (200,), MAX_BYTES, check)
        before = len(found)
        found.update((one.digest, one) for one in _listed(repository, response.body, digest))
        budget.page(response, len(found))
        stale = 0 if len(found) > before else stale + 1
        # Pages are filtered after they were cut: an empty one is not the last.
        url = repository.next_page(response, seen) if stale <= _STALE_PAGES else None
    return list(found.values())


def _listed(repository: RepositoryApi, body: bytes, digest: str) -> list[Descriptor]:
    what = f"the referrers of {digest} at {repository}"
    listed = load_object(body, what).get("manifests")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise repository.malformed("an invalid list of referrers")
    return [read_descriptor(one, what) for one in listed]
