"""How often a repository has been pulled, where its registry tells: adoption, kept over time."""

from __future__ import annotations

from mirror.checks.aliyun_counts import (
    AliyunAccount,
    CountUnknown,
    aliyun_downloads,
    personal_region,
)
from mirror.registry import HubApi, Registry, RegistryError

__all__ = ["AliyunAccount", "CountUnknown", "pulls_of"]


async def pulls_of(
    registry: Registry, repository: str, aliyun: AliyunAccount | None = None
) -> int | None:
    """Pulls since the repository exists; None where nobody can tell.

    Docker Hub tells by its web API (`pull_count`, one request that costs no quota), Aliyun's
    personal edition by its OpenAPI, for which an account's key is needed. Raises CountUnknown
    when one of the two was asked and did not tell.
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
        raise CountUnknown(f"{registry.host}'s web API told {repository} without a pull count")
    return found.pull_count
