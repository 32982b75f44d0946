"""How a fake registry behaves where registries differ: one frozen value of switches.

The defaults are the distribution specification v1.1 with every option on. `quirks.py` holds the
values that imitate registries which are known to differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MIB = 1024 * 1024


class Scheme(StrEnum):
    """What a registry challenges for at /v2/."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True)
class Auth:
    """Who may do what. `accounts` maps user names to passwords; they may pull, push and delete.

    `read_only` names accounts that may only pull. `anonymous_pull` lets a token (or, with Basic,
    a request) without a user pull. `expires_in` is seconds a token lives; None leaves the field
    out of the answer, which means 60 by the token specification.
    """

    scheme: Scheme = Scheme.NONE
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_only: frozenset[str] = frozenset()
    identity_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    anonymous_pull: bool = False
    token_path: str = "/token"
    token_key: str = "token"
    expires_in: int | None = 300
    service: str = "fake-registry"
    own_host: bool = False  # the token server is another host than the registry


@dataclass(frozen=True)
class Throttle:
    """Requests a minute before 429; reads are GET and HEAD, writes are all others."""

    reads: int | None = None
    writes: int | None = None
    window: float = 60.0


@dataclass(frozen=True)
class PullQuota:
    """Manifest GETs per window (seconds), as Docker Hub counts: without a login and with one."""

    limit: int = 100
    logged_in: int = 200
    window: int = 21600
    used: int = 0


@dataclass(frozen=True)
class Behaviour:
    """Switches of a fake registry. Sizes in bytes, times in seconds."""

    name: str = "specification"
    auth: Auth = Auth()
    # tags/list
    honours_n: bool = True
    page_limit: int | None = None
    # manifests
    manifest_algorithms: frozenset[str] = frozenset({"sha256", "sha512"})
    digest_on_head: bool = True
    checks_references: bool = True
    delete_tags: bool = True
    refused_config_types: frozenset[str] = frozenset()
    refuses_attestations: bool = False
    # repositories
    levels: int | None = None
    namespaces: frozenset[str] | None = None
    # blobs and uploads
    range_reads: bool = True
    mount: bool = True
    single_post: bool = True
    chunks: bool = True
    min_chunk: int | None = None
    resume: bool = True
    status_of_uploads: bool = True
    monolithic_limit: int | None = None
    chunk_limit: int | None = None
    requires_content_range: bool = False
    empty_patch: bool = True
    patch_status: int = 202
    put_status: int = 201
    transfer_encoding: bool = True
    checks_content_range: bool = True
    relative_location: bool = True
    # referrers
    referrers: bool = True
    subject_acknowledged: bool = True
    # limits
    throttle: Throttle | None = None
    quota: PullQuota | None = None
    latency: float = 0.0
    # blobs are redirected to a second server on another host
    cdn: bool = False
