"""Habits of real registries and proxies: every image arrives all the same, or is named."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from flows.local.sample_registry.images import single
from flows.local.sample_registry.interceptor import Interceptor
from flows.local.sample_registry.replies import Reply
from mirror.outcome import Reason, RunStatus
from mirror.registry import Credential, Endpoint
from tests.support.fake_registry import quirks
from tests.support.fake_registry.faults import Corrupt, CutConnection, Headers, Respond, Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, Synced, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")

TAGS = ("1.0.0", "1.1.0", "2.0.0")
HTML = Respond(200, headers={"Content-Type": "text/html"}, body=b"<html>Sign in</html>")
REFUSALS = [Respond(status) for status in (400, 401, 403, 404, 405, 500)] + [HTML]


@dataclass
class World:
    """A source with three tags, an empty target, and their sync."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    def arrived(self) -> bool:
        """Whether the target has what the source has."""
        return (
            self.target.store.repository(TARGET).tags == self.source.store.repository(SOURCE).tags
        )

    async def succeeds(self) -> Synced:
        """Sync; every tag must arrive and be verified."""
        synced = await self.core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        assert self.arrived()
        return synced


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeRegistry() as source, FakeRegistry() as target:
        for tag in TAGS:
            image = multi_platform(tag) if tag == "2.0.0" else single(tag, sizes=(3000, 2_000_000))
            seed(source.store, SOURCE, tag, image)
        yield World(source, target, CoreSync(endpoint_of(source), endpoint_of(target)))


OPTIONAL = {
    "single_post": "POST .*/blobs/uploads/\\?digest=",
    "head_blob": "HEAD .*/blobs/",
    "head_manifest": "HEAD .*/manifests/",
    "page_size": "GET .*/tags/list\\?n=1000",
    "referrers": "GET .*/referrers/",
    "whole_put": "PUT .*/blobs/uploads/.*digest=",
}


@pytest.mark.parametrize("fault", [*REFUSALS, CutConnection()], ids=repr)
@pytest.mark.parametrize("name", OPTIONAL)
async def test_an_optional_request_may_fail_in_any_way(
    world: World, name: str, fault: Interceptor
) -> None:
    for registry in (world.source, world.target):
        if name == "whole_put":  # the closing PUT of a session that got a PATCH is not optional
            registry.faults.add(Rule(OPTIONAL[name], fault, times=1))
        else:
            registry.faults.add(Rule(OPTIONAL[name], fault, times=None))
    await world.succeeds()


@pytest.mark.parametrize("fault", [*REFUSALS, CutConnection()], ids=repr)
async def test_a_mount_that_fails_in_any_way_is_an_upload(world: World, fault: Interceptor) -> None:
    await world.succeeds()
    other = replace(world.core, target_name="other/app")
    other.recorder.known.clear()
    world.target.faults.add(Rule("POST .*mount=", fault, times=None))
    synced = await other.sync()
    assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
    repository = (world.target.host, "other/app")
    if not (isinstance(fault, Respond) and fault.status == 404):
        refusal = other.recorder.refusals[repository]["mount"]
        assert refusal.reason
        assert refusal.until > refusal.at
        asked = [one for one in world.target.exchanges if "mount=" in one.query]
        before = len(asked)
        seed(world.source.store, SOURCE, "3.0.0", single("3.0.0"))
        await other.sync()
        asked = [one for one in world.target.exchanges if "mount=" in one.query]
        assert len(asked) == before, "it is remembered"


@pytest.mark.parametrize("drop", [None, "0", "17"])
async def test_a_blob_whose_size_head_does_not_tell_is_there(
    world: World, drop: str | None
) -> None:
    fault = Headers(
        add={"Content-Length": drop} if drop else {}, drop=frozenset({"Content-Length"})
    )
    world.target.faults.add(Rule("HEAD .*/blobs/", fault, times=None))
    await world.succeeds()


@pytest.mark.parametrize("fault", [Respond(401), Respond(403), Respond(500), HTML], ids=repr)
async def test_unreadable_referrers_are_a_warning(world: World, fault: Interceptor) -> None:
    seed(world.source.store, SOURCE, "signed", with_referrers("signed"))
    world.source.faults.add(Rule("GET .*/referrers/", fault, times=None))
    synced = await world.succeeds()
    assert any("referrers" in warning for warning in synced.outcome.warnings)


@pytest.mark.parametrize(
    "fault",
    [
        Respond(403, headers={"Content-Type": "text/html"}, body=b"<html>Request blocked</html>"),
        Respond(502),
        Respond(429),
        HTML,
        CutConnection(),
    ],
    ids=repr,
)
async def test_hub_without_its_web_api_is_read_by_the_registry(fault: Interceptor) -> None:
    async with (
        FakeRegistry() as source,
        FakeHub(source.store) as hub,
        FakeRegistry() as target,
    ):
        seed(source.store, SOURCE, "1.0", single("hub"))
        hub.faults.add(Rule("GET ", fault, times=None))
        core = CoreSync(endpoint_of(source, hub), endpoint_of(target))
        for full in (True, False):
            synced = await core.sync(full=full)
            assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
            (warning,) = [one for one in synced.outcome.warnings if "own tag list" in one]
            assert hub.url.removeprefix("http://") in warning
        assert target.store.repository(TARGET).tags


BODIES = [
    b'{"errors": [{"code": "DENIED", "message": "no"}]}',
    b'{"message": "repository is being migrated"}',
    b'{"name": "team/app"}',
    b"<html>maintenance</html>",
    b'["1.0.0"]',
    b'"1.0.0"',
    b'{"tags": "1.0.0"}',
    b'{"tags": null, "errors": [{"code": "UNKNOWN"}]}',
    b"null",
    b"",
]


@pytest.mark.parametrize("body", BODIES)
async def test_what_is_no_list_of_tags_is_an_error_that_quotes_it(
    world: World, body: bytes
) -> None:
    world.source.faults.add(Rule("GET .*/tags/list", Respond(200, body=body), times=None))
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.FAILED
    assert body.decode()[:12] in synced.outcome.errors[0].message


@pytest.mark.parametrize("empty", ["[]", "null", '["1.0.0"]'])
async def test_link_is_followed_to_its_end_whatever_a_page_holds(world: World, empty: str) -> None:
    link = {"Link": f'</v2/{SOURCE}/tags/list?last=x&n=5>; rel="next"'}
    page = Respond(200, headers=link, body=f'{{"tags": {empty}}}'.encode())
    world.source.faults.add(Rule("GET .*/tags/list\\?n=1000", page, times=None))
    rest = json.dumps({"tags": list(TAGS)}).encode()
    world.source.faults.add(Rule("GET .*/tags/list\\?last=x", Respond(200, body=rest), times=None))
    await world.succeeds()


async def test_a_list_that_links_to_itself_ends(world: World) -> None:
    link = {"Link": f'</v2/{SOURCE}/tags/list?n=1000>; rel="next"'}
    body = json.dumps({"tags": list(TAGS)}).encode()
    page = Respond(200, headers=link, body=body)
    world.source.faults.add(Rule("GET .*/tags/list", page, times=None))
    await world.succeeds()


@pytest.mark.parametrize("odd", ["sha256:" + "0" * 64, "a/b", "", "-x", 'a"b', "x" * 129])
async def test_an_odd_name_is_left_out_with_a_warning(world: World, odd: str) -> None:
    body = json.dumps({"tags": [odd, *TAGS, None, 5]}).encode()
    world.source.faults.add(Rule("GET .*/tags/list", Respond(200, body=body), times=None))
    synced = await world.succeeds()
    assert any("no tags" in warning for warning in synced.outcome.warnings)


@dataclass(frozen=True)
class Encoded(Interceptor):
    """A proxy compresses what it passes on."""

    encoding: str

    def amend(self, reply: Reply) -> Reply:
        if not isinstance(reply.body, bytes) or not reply.body:
            return reply
        raw = zlib.compressobj(wbits=-15)
        body = {
            "gzip": gzip.compress(reply.body),
            "deflate": zlib.compress(reply.body),
            "raw": raw.compress(reply.body) + raw.flush(),
        }[self.encoding]
        name = "deflate" if self.encoding == "raw" else self.encoding
        headers = {k: v for k, v in reply.headers.items() if k.lower() != "content-length"}
        return replace(reply, headers={**headers, "Content-Encoding": name}, body=body)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
async def test_encoded_answers_are_decoded(world: World, encoding: str) -> None:
    for registry in (world.source, world.target):
        registry.faults.add(Rule("GET .*/(tags|manifests)", Encoded(encoding), times=None))
    await world.succeeds()


async def test_a_bomb_is_not_unpacked(world: World) -> None:
    bomb = Respond(200, headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"x" * (40 << 20)))
    world.source.faults.add(Rule("GET .*/tags/list", bomb, times=None))
    synced = await world.core.sync()
    assert "gzip" in synced.outcome.errors[0].message


@pytest.mark.parametrize(
    ("pattern", "registry"),
    [
        ("GET .*/blobs/", "source"),
        ("GET .*/manifests/", "source"),
        ("GET .*/manifests/", "target"),
    ],
)
async def test_what_arrives_garbled_once_is_fetched_again(
    world: World, pattern: str, registry: str
) -> None:
    at = world.source if registry == "source" else world.target
    at.faults.add(Rule(pattern, Corrupt(7), times=1))
    synced = await world.succeeds()
    if "blobs" in pattern:
        assert any("garbled" in warning for warning in synced.outcome.warnings)


@dataclass(frozen=True)
class Half(Interceptor):
    """Half of the body, and nothing says that there was more."""

    def amend(self, reply: Reply) -> Reply:
        assert isinstance(reply.body, bytes)
        return replace(reply, body=reply.body[: len(reply.body) // 2])


@pytest.mark.parametrize("what", ["tags/list", "manifests", "referrers"])
async def test_what_is_cut_in_the_middle_is_asked_for_again(world: World, what: str) -> None:
    world.source.faults.add(Rule(f"GET .*/{what}", Half(), times=2))
    await world.succeeds()


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "NOT_FOUND"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_target_that_shows_a_manifest_late_is_asked_again(
    world: World, method: str, code: str
) -> None:
    fault = Respond(404, code)
    world.target.faults.add(Rule(f"{method} .*/manifests/2.0.0", fault, times=3))
    world.target.faults.add(Rule("HEAD .*/blobs/", Respond(404), times=12, skip=6))
    await world.succeeds()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (412, "PRECONDITION", "configured as immutable"),
        (403, "DENIED", "tag is immutable"),
        (409, "CONFLICT", "tag already exists"),
        (405, "UNSUPPORTED", "The operation is disallowed on this image"),
        (400, "TAG_INVALID", "cannot be overwritten because the repository is immutable"),
        (403, "DENIED", "The account permission has been restricted due to overdue payment"),
    ],
)
async def test_a_policy_of_the_target_is_called_one(
    world: World, status: int, code: str, words: str
) -> None:
    fault = Respond(status, code, words)
    world.target.faults.add(Rule("PUT .*/manifests/", fault, times=None))
    synced = await world.core.sync()
    assert {failure.reason for failure in synced.failures.values()} == {Reason.REFUSED}
    assert all(words[:20] in failure.message for failure in synced.failures.values())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "Not enough quota available to process the request"),
        (412, "the storage limit of the repository is reached"),
        (507, "no"),
        (500, "no space left on device"),
        (403, "Storage size quota exceeded"),
        (413, "quota limit of the project is exceeded"),
        (500, "disk is full"),
    ],
)
async def test_a_full_target_is_called_full(world: World, status: int, words: str) -> None:
    world.target.faults.add(Rule("(POST|PUT|PATCH) ", Respond(status, "DENIED", words), times=None))
    synced = await world.core.sync()
    assert {failure.reason for failure in synced.failures.values()} == {Reason.STORAGE}


async def test_a_location_without_the_port_is_named_and_not_tried_again_and_again(
    world: World,
) -> None:
    location = Headers(add={"Location": "http://127.0.0.1/v2/x/blobs/uploads/1"})
    world.target.faults.add(Rule("POST .*/blobs/uploads/", location, times=None))
    synced = await world.core.sync()
    assert synced.outcome.status is RunStatus.FAILED
    assert all("http://127.0.0.1" in failure.message for failure in synced.failures.values())
    assert sum(one.method == "POST" for one in world.target.exchanges) < 15


@pytest.mark.parametrize("status", [403, 404])
async def test_a_registry_that_hides_repositories_gets_the_credential(status: int) -> None:
    async with FakeRegistry(quirks.HARBOR) as source, FakeRegistry() as target:
        source.behaviour = replace(source.behaviour, namespaces=None)
        seed(source.store, SOURCE, "1", single("hidden"))

        @dataclass(frozen=True)
        class Hide(Interceptor):
            def amend(self, reply: Reply) -> Reply:
                return Reply(status) if reply.status == 401 else reply

        source.access.auth = replace(source.behaviour.auth, anonymous_pull=False)
        source.faults.add(Rule(f"/v2/{SOURCE}/", Hide(), times=None))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        synced = await core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        bare = CoreSync(Endpoint(source.host, insecure=True), endpoint_of(target))
        assert (await bare.sync()).outcome.status is RunStatus.FAILED


@pytest.mark.parametrize("realm", ['realm="/service/token"', "realm=/service/token", None])
async def test_a_realm_may_be_relative_or_unquoted(realm: str | None) -> None:
    async with FakeRegistry(quirks.HARBOR) as source, FakeRegistry() as target:
        name = "library/app"
        seed(source.store, name, "1", single("realm"))
        source.access.auth = replace(source.behaviour.auth, anonymous_pull=False)
        realm = realm or f"realm={source.url}/service/token"

        @dataclass(frozen=True)
        class Challenge(Interceptor):
            def amend(self, reply: Reply) -> Reply:
                if reply.status != 401:
                    return reply
                challenge = f'Bearer {realm},service="harbor-registry"'
                return replace(reply, headers={**reply.headers, "WWW-Authenticate": challenge})

        source.faults.add(Rule("/v2/", Challenge(), times=None))
        login = Credential(quirks.USERNAME, quirks.PASSWORD, origin="the test")
        endpoint = Endpoint(source.host, insecure=True, credential=lambda _: login)
        core = CoreSync(endpoint, endpoint_of(target), source_name=name)
        synced = await core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors


async def test_a_blob_whose_head_answers_500_is_uploaded_all_the_same(world: World) -> None:
    seed(world.target.store, TARGET, "0.1", single("old"))
    world.target.faults.add(Rule("(HEAD|GET) .*/blobs/", Respond(500), times=3 * 12))
    await world.core.sync()
    world.target.faults.clear()
    assert (await world.core.sync()).outcome.status is RunStatus.SUCCEEDED
