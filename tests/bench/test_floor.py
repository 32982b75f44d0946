"""The floor under workload B carries over all that a sync does."""

from __future__ import annotations

from pathlib import Path

import httpx

from bench.floor import copy
from bench.shape import Shape
from bench.sizes import REPOSITORY, SMOKE
from bench.stage import Links, Session


async def test_it_copies_every_tag_and_blob(tmp_path: Path) -> None:
    content = SMOKE.b()
    names = sorted(image.tag for image in content.images)
    links = Links(Shape.of(5, 400), Shape.of(5, 400), Shape.of(5))
    session = Session(tmp_path, tmp_path, None, {}, 1, 0)
    with session.source([content]) as source, session.stage(source, links) as stage:
        assert await copy(stage, names) > 4 * 0.005, "round trips that follow one another"
        there = f"http://{stage.target.host}/v2/copy/{REPOSITORY.rpartition('/')[2]}"
        async with httpx.AsyncClient() as client:
            assert sorted((await client.get(f"{there}/tags/list")).json()["tags"]) == names
            for name in names:
                manifest = (await client.get(f"{there}/manifests/{name}", headers=OCI)).json()
                for each in (manifest["config"], *manifest["layers"]):
                    head = await client.head(f"{there}/blobs/{each['digest']}")
                    assert int(head.headers["content-length"]) == each["size"]


OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
