"""How often a repository has been pulled, where its registry reports that: its adoption."""

from __future__ import annotations

from mirror.checks.aliyun_counts import (
    AliyunAccount,
    CountUnknown,
    aliyun_downloads,
    personal_region,
)
from mirror.registry import HubApi, Registry, RegistryError


async def pulls_of(
    registry: Registry, repository: str, aliyun: AliyunAccount | None = None
) -> int | None:
    """All pulls of a repository so far; None where the registry has no such figure.

    Docker Hub reports it in its web API (`pull_count`, one request that costs no quota), Aliyun's
    personal edition in its OpenAPI, which needs an account's key. Raises CountUnknown when one of
    the two was asked without success.
    """
    if registry.endpoint.web_api is not None:
        return await _hub_pulls(registry, repository)
    region = personal_region(registry.host)
    if region is None or aliyun is None:
        return None
    return await aliyun_downloads(aliyun, region, repository)


async def _hub_pulls(registry: Registry, repository: str) -> int:
    try:
        found = await HubApi(registry).repository_info(repository)
    except RegistryError as error:
        raise CountUnknown(str(error)) from error
    if found.pull_count is None:
        raise CountUnknown(
            f"the web API of {registry.host} describes {repository} without a pull count"
        )
    return found.pull_count
