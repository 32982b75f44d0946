"""How each peer mirrors a repository with all its tags and platforms, over plain http."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

Commands = list[list[str]]
Recipe = Callable[[str, str, Sequence[str], Path], Commands]
"""source and target as host:port/repository, the tags, a scratch folder: what to run, in turn."""


def skopeo(source: str, target: str, tags: Sequence[str], scratch: Path) -> Commands:
    """`skopeo sync` names the repository at the target by the last part of the source's."""
    parent, _, name = target.rpartition("/")
    if not source.endswith("/" + name):
        raise ValueError(f"skopeo cannot rename {source} to {target}")
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    sides = ["--src", "docker", "--dest", "docker"]
    return [["skopeo", "--insecure-policy", "sync", "--all", *plain, *sides, source, parent]]


def crane(source: str, target: str, tags: Sequence[str], scratch: Path) -> Commands:
    """All tags in one process."""
    return [["crane", "copy", "--all-tags", "--insecure", source, target]]


def regctl(source: str, target: str, tags: Sequence[str], scratch: Path) -> Commands:
    """A process for each tag."""
    hosts = [f"--host=reg={each.split('/')[0]},tls=disabled" for each in (source, target)]
    return [
        ["regctl", *hosts, "image", "copy", f"{source}:{tag}", f"{target}:{tag}"] for tag in tags
    ]


def regsync(source: str, target: str, tags: Sequence[str], scratch: Path) -> Commands:
    """One process, its own defaults for parallel work."""
    config = {
        "version": 1,
        "creds": [{"registry": each.split("/")[0], "tls": "disabled"} for each in (source, target)],
        "sync": [{"source": source, "target": target, "type": "repository"}],
    }
    path = scratch / "regsync.yml"
    path.write_text(yaml.safe_dump(config))
    return [["regsync", "once", "-c", str(path)]]


def image_syncer(source: str, target: str, tags: Sequence[str], scratch: Path) -> Commands:
    """One process, its own defaults for parallel work."""
    auth, images = scratch / "auth.json", scratch / "images.json"
    auth.write_text(
        json.dumps({each.split("/")[0]: {"insecure": True} for each in (source, target)})
    )
    images.write_text(json.dumps({source: target}))
    return [["image-syncer", "--auth", str(auth), "--images", str(images)]]


RECIPES: dict[str, Recipe] = {
    "crane": crane,
    "regsync": regsync,
    "regctl": regctl,
    "image-syncer": image_syncer,
    "skopeo": skopeo,
}


def present() -> dict[str, Recipe]:
    """The recipes whose tool is on PATH."""
    return {name: recipe for name, recipe in RECIPES.items() if shutil.which(name)}
