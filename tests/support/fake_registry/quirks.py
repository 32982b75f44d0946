"""Registries that are known to differ, as behaviours of the fake registry.

Each switch cites what it imitates: "facts" is registry-facts.md. What is marked (?) there is
unknown; it is switched off here, so that a client that needs it fails in the tests and not in
production.
"""

from __future__ import annotations

from dataclasses import replace

from flows.local.sample_registry import media_types as mediatypes
from tests.support.fake_registry.behaviour import MIB, Auth, Behaviour, PullQuota, Scheme, Throttle

USERNAME = "mirror"
PASSWORD = "correct horse"
ACCOUNT = {USERNAME: PASSWORD}

# Distribution-spec v1.1 with every option on.
SPECIFICATION = Behaviour()

# Seen on Debian's docker-registry 2.8.2: tests/fake_registry/test_distribution.py compares the two.
DISTRIBUTION_2_8 = Behaviour(
    name="distribution-2.8",
    honours_n=False,  # tags/list comes whole, whatever `n` and `last` say
    delete_tags=False,
    manifest_algorithms=frozenset({"sha256"}),  # it takes sha512 blobs but no manifests
    single_post=False,  # POST ?digest= opens a session like any other
    resume=False,  # after a broken PATCH the session's state no longer fits: 404
    checks_content_range=False,
    relative_location=False,
    referrers=False,
    subject_acknowledged=False,
)

ALIYUN_PERSONAL = Behaviour(
    name="aliyun-personal",
    auth=Auth(
        scheme=Scheme.BEARER,
        accounts=ACCOUNT,
        # Facts, Aliyun: realm dockerauth.cn-hangzhou.aliyuncs.com/auth, a separate host.
        own_host=True,
        token_path="/auth",
        service="registry.aliyuncs.com:cn-hangzhou:26842",
        # Facts, Aliyun: "auto-created repositories may be private".
        anonymous_pull=False,
    ),
    # Facts, Aliyun: "multi-level repository paths are refused".
    levels=2,
    # Facts, Aliyun: "a missing namespace shows as DENIED at blob HEAD or POST".
    namespaces=frozenset({"hagicode"}),
    # Facts, Aliyun, attestations: 403 `denied: unknown manifest class for ...empty.v1+json`.
    refused_config_types=frozenset({mediatypes.OCI_EMPTY}),
    # Facts, Aliyun: "multi-chunk upload, mount, resume, Range on pull, referrers API, tags/list
    # paging: all (?)"; one streaming PATCH works.
    chunks=False,
    mount=False,
    single_post=False,
    resume=False,
    status_of_uploads=False,
    range_reads=False,
    referrers=False,
    subject_acknowledged=False,
    honours_n=False,
)

# Facts, Aliyun: enterprise has realm dockerauth-ee.{region}; only the personal edition is known
# to refuse artifacts. Everything marked (?) stays off.
ALIYUN_ENTERPRISE = replace(
    ALIYUN_PERSONAL, name="aliyun-enterprise", refused_config_types=frozenset()
)

AZURE = Behaviour(
    name="azure",
    auth=Auth(
        scheme=Scheme.BEARER,
        accounts=ACCOUNT,
        # Facts, Azure: "returns access_token, not token"; anonymous pull is off by default.
        token_path="/oauth2/token",
        token_key="access_token",
        service="azure",
        anonymous_pull=False,
    ),
    # Facts, Azure: a monolithic PUT above about 20 MB gets 413.
    monolithic_limit=20_000_000,
    # Facts, Azure: PATCH with explicit Content-Length and `Content-Range: start-end`.
    requires_content_range=True,
    transfer_encoding=False,
    # Facts, Azure: "skip PATCH for an empty blob".
    empty_patch=False,
    # Facts, Azure: Basic allows 1,000 reads and 100 writes a minute; bursts get 429.
    throttle=Throttle(reads=1000, writes=100),
    # Facts, Azure: "uploads may not be resumable (?)".
    resume=False,
    status_of_uploads=False,
)

DOCKER_HUB = Behaviour(
    name="docker-hub",
    auth=Auth(
        scheme=Scheme.BEARER,
        accounts=ACCOUNT,
        # Facts, Hub, Token: auth.docker.io, 300 s, anonymous pulls.
        own_host=True,
        service="registry.docker.io",
        expires_in=300,
        anonymous_pull=True,
    ),
    # Facts, Hub, pull quota: a manifest GET counts; headers on GET and HEAD.
    quota=PullQuota(limit=100, window=21600),
    # Facts, Hub: "blobs redirect (307) to a CDN on another host".
    cdn=True,
    # Facts, Hub: "some answers ignore `n` or stop at 100".
    page_limit=100,
    referrers=False,
    subject_acknowledged=False,
)

# goharbor.io: token service at /service/token, projects are the first part of a name, and
# pushing outside of them is denied; referrers API since 2.8. Its registry is distribution.
HARBOR = Behaviour(
    name="harbor",
    auth=Auth(
        scheme=Scheme.BEARER,
        accounts=ACCOUNT,
        token_path="/service/token",
        service="harbor-registry",
        anonymous_pull=True,
    ),
    namespaces=frozenset({"library", "hagicode"}),
    manifest_algorithms=frozenset({"sha256"}),
    single_post=False,
    resume=False,
    checks_content_range=False,
)

GHCR = Behaviour(
    name="ghcr",
    auth=Auth(
        scheme=Scheme.BEARER,
        accounts=ACCOUNT,
        service="ghcr.io",
        anonymous_pull=True,
    ),
    # wasmCloud/wash-archive#268, ocx-sh/ocx#237: a chunk above 4 MiB gets 416
    # REQUESTED_RANGE_NOT_SATISFIABLE; one streaming PATCH of any size passes.
    chunk_limit=4 * MIB,
    referrers=False,
    subject_acknowledged=False,
)

# Facts, OCI: 400 MANIFEST_INVALID for attestations, as issue threads report of older registries.
REFUSES_ATTESTATIONS = Behaviour(name="refuses-attestations", refuses_attestations=True)

# Facts, OCI, Digest headers: "HEAD may lack the digest header on old registries".
NO_DIGEST_ON_HEAD = Behaviour(name="no-digest-on-head", digest_on_head=False)

# Facts, OCI, Upload: "honour OCI-Chunk-Min-Length".
LARGE_CHUNKS = Behaviour(name="large-chunks", min_chunk=5 * MIB, monolithic_limit=5 * MIB)

# Facts, OCI, Upload: "tolerate 201 on PATCH, 204 on PUT".
OTHER_STATUSES = Behaviour(name="other-statuses", patch_status=201, put_status=204)

# By name, as the command line of serve.py knows them.
NAMED = {
    behaviour.name: behaviour
    for behaviour in (
        SPECIFICATION,
        DISTRIBUTION_2_8,
        ALIYUN_PERSONAL,
        ALIYUN_ENTERPRISE,
        AZURE,
        DOCKER_HUB,
        HARBOR,
        GHCR,
    )
}
