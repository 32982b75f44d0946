"""What must hold after each sync, whatever a registry said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg

from hostile.stage import BAD, GOOD, Scene
from mirror.history.database.address import conninfo
from mirror.outcome import Reason

MOST_MB = 218  # of 256: a flow run at Prefect takes 38 MB more than the sync alone
_RUNS = """
    SELECT run.status, run.tags_copied, (SELECT count(*) FROM tag_sync tag
        WHERE tag.run_id = run.id AND tag.status = 'succeeded'),
        (SELECT count(*) FROM tag_sync tag WHERE tag.run_id = run.id AND tag.status = 'running')
    FROM sync_run run JOIN mirror ON mirror.id = run.mirror_id WHERE mirror.name = %s
"""
_STATE = """
    SELECT tag, target_digest FROM tag_state JOIN mirror ON mirror.id = tag_state.mirror_id
    WHERE mirror.name = %s AND copied_digest IS NOT NULL
"""
_TREE = {reason.value for reason in Reason} - {"internal"}


async def wrongs(url: str, scene: Scene, said: dict[str, Any], *, good: bool) -> list[str]:
    """What is wrong after a sync. good: the tag GOOD must have arrived."""
    found = list(_said(said))
    for tag, digest in scene.arrived.items():
        found += [f"torn: {tag}: {what}" for what in _missing(scene, digest)]
    if good and scene.arrived.get(GOOD) != scene.good.digest:
        found.append(f"{GOOD} did not arrive")
    if scene.arrived.get(BAD) not in (None, scene.bad.digest) and said["status"] == "succeeded":
        found.append(f"{BAD} is something else, and nobody says so")
    async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as connection:

        async def ask(query: str) -> list[Any]:
            return await (await connection.execute(query.encode(), (scene.name,))).fetchall()

        for status, copied, counted, running in await ask(_RUNS):
            if status == "running" or running:
                found.append("a run without an end")
            if copied != counted:
                found.append(f"{copied} tags copied, {counted} recorded")
        for tag, digest in await ask(_STATE):
            if scene.arrived.get(tag) != digest:
                found.append(f"{tag} is called available at {digest}, which is not there")
    return found


def _said(said: dict[str, Any]) -> Iterator[str]:
    if said["status"] in ("crashed", "killed"):
        yield f"{said['status']}: {said['errors']}"
    if said["peak_mb"] > MOST_MB:
        yield f"{said['peak_mb']} MB"
    for tag, reason, message in said["errors"]:
        if said["status"] != "crashed" and reason not in _TREE:
            yield f"{tag}: {reason} is no error of the tree: {message}"
        if not message.isprintable() or len(message) > 4_000:
            yield f"{tag}: a message that is not fit to show: {message[:100]!r}"
        if "correct horse" in message:
            yield f"{tag}: a message with the password"


def _missing(scene: Scene, digest: str) -> Iterator[str]:
    held = scene.held.store.repositories[scene.copy]
    manifest = held.manifests.get(digest)
    if manifest is None:
        yield f"no manifest {digest}"
        return
    document = json.loads(manifest.raw)
    for child in document.get("manifests") or []:
        yield from _missing(scene, child["digest"])
    for blob in [*filter(None, [document.get("config")]), *(document.get("layers") or [])]:
        if blob["digest"] not in held.blobs:
            yield f"no blob {blob['digest']}"
