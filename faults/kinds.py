"""The kinds of faults by name. Each is armed before a run, acts during it, and heals after it."""

from __future__ import annotations

from faults.acting import Acting
from faults.answers import changed, expire, has_it, http, not_stored, other_content, storm, wire
from faults.processes import freeze, full_disk, kill_postgres, kill_registry, kill_run

KINDS: dict[str, Acting] = {
    "connection reset": wire("reset"),
    "connection stalled": wire("stall"),
    "byte garbled": wire("garble"),
    "storm of 429": http(storm(429)),
    "storm of 5xx": http(storm(500, 502, 503, 504)),
    "token expired": http(expire),
    "content changed": http(changed("flipped")),
    "content truncated": http(changed("truncated")),
    "content longer": http(changed("longer")),
    "wrong digest": http(changed("digest")),
    "other content on the second read": http(other_content),
    "manifest not stored": http(not_stored(r"PUT /v2/.*/manifests/")),
    "blob not stored": http(not_stored(r"PUT /v2/.*/blobs/uploads/")),
    "absent blob called present": http(has_it),
    "sync killed": kill_run,
    "sync frozen": freeze("run"),
    "source killed": kill_registry("source"),
    "source frozen": freeze("source"),
    "target killed": kill_registry("target"),
    "target frozen": freeze("target"),
    "Postgres killed": kill_postgres,
    "Postgres frozen": freeze("postgres"),
    "disk full": full_disk,
}
