"""The workload FLEET: one entry for many repositories, looked at and synced by one process."""

from __future__ import annotations

import json
from typing import Any

from bench.content import Content, Image, Layer
from bench.ours import Ours
from bench.process import BenchError
from bench.sizes import Sizes
from bench.stage import Links, Session, Stage

NAMESPACE = "fleet"
TAGS = 3


def repository(at: int, moved: int = 0, tags: int = TAGS) -> Content:
    """A repository of small tags that share nothing; `moved` gives each tag another image."""
    return Content(
        f"{NAMESPACE}/app{at:04}",
        tuple(
            Image(f"1.{tag}.0", ((Layer(f"fleet/{at}/{tag}", 2_000),),), str(moved))
            for tag in range(tags)
        ),
    )


def run_fleet(session: Session, sizes: Sizes, links: Links) -> None:
    """All repositories cold, then unchanged: by HEAD, and by the web API."""
    count = sizes.fleet
    with session.source([repository(at) for at in range(count)]) as source:
        for round_ in range(session.rounds):
            with session.stage(source, links) as stage:
                ours = Ours(stage.root / "ours", session.server)
                try:
                    _configure(ours, stage)
                    ours.start()
                    _watch(stage, ours, "cold", round_, moved=count)
                    _watch(stage, ours, "unchanged, HEAD", round_)
                    _configure(ours, stage, web_api=True)
                    _watch(stage, ours, "first look, web API", round_)
                    _watch(stage, ours, "unchanged, web API", round_)
                finally:
                    ours.close()


def _configure(ours: Ours, stage: Stage, *, web_api: bool = False) -> None:
    source: dict[str, object] = {"insecure": True}
    if web_api:
        source["hub_api"] = stage.hub
    ours.write(
        {stage.near: source, stage.far: {"insecure": True}},
        {"fleet": {"source": f"{stage.near}/{NAMESPACE}/*", "target": f"{stage.far}/copy/*"}},
    )


def _watch(stage: Stage, ours: Ours, case: str, round_: int, moved: int = 0) -> None:
    """One `mirror watch --once`, which looks at every repository and syncs those that moved."""
    usage = ours.checked(ours.run("watch", "--once", "--json"))
    report: dict[str, Any] = json.loads(usage.output)
    synced = [one for one in report["synced"] if one["status"] == "succeeded"]
    if len(synced) != moved:
        raise BenchError(f"{len(synced)} of {moved} repositories in sync: {usage.errors[-500:]}")
    metrics = {
        "seconds": float(report["seconds"]),
        "a_repository": report["requests"] / max(1, len(report["looked"])),
        "source_requests": float(report["requests"]),
    }
    stage.note_usage("FLEET", case, round_, usage, **metrics)
