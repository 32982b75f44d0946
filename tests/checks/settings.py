"""Settings of mirrors between registries on loopback."""

from __future__ import annotations

from typing import Any

from mirror.config import Settings


def settings(
    mirrors: dict[str, tuple[str, str]],
    *,
    registries: dict[str, dict[str, Any]] | None = None,
    tags: dict[str, dict[str, Any]] | None = None,
) -> Settings:
    """Mirrors by name as (source, target), each `host:port/path` over plain http.

    `registries`: further settings by host; `tags`: tag policies by mirror.
    """
    hosts = {side.partition("/")[0] for sides in mirrors.values() for side in sides}
    entries = {host: {"insecure": True} for host in hosts}
    for host, entry in (registries or {}).items():
        entries[host] = {**entries.get(host, {}), **entry}
    return Settings.model_validate(
        {
            "registries": entries,
            "mirrors": {
                name: {
                    "name": name,
                    "source": source,
                    "target": target,
                    "tags": (tags or {}).get(name, {}),
                }
                for name, (source, target) in mirrors.items()
            },
        }
    )
