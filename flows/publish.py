"""The flow `publish`: the public site, built from the history."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import living_alone, redacting, run_name
from mirror.config import load_settings
from mirror.website import Published, publish_site, site_address, site_folder_of_environment


@flow(name="publish", flow_run_name=run_name("publish"), persist_result=False)
@living_alone
async def publish(directory: str | None = None) -> State[None]:
    """Build the site from the history and swap it in.

    MIRROR_SITE_URL is its public address. The old site stays up if a build fails.

    Args:
        directory: Where to put it; empty: MIRROR_SITE_DIR, else the data folder, where `mirror up`
            serves it.
    """
    folder = Path(directory) if directory else site_folder_of_environment()
    published = await build_task(folder)
    return Completed(
        message=f"{published.mirrors} mirrors, {published.tags} tags, {published.seconds} s:"
        f" {published.folder}"
    )


@task(name="build", task_run_name="build", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def build_task(folder: Path) -> Published:
    """Read the history, build the pages, swap them in."""
    return await asyncio.to_thread(publish_site, load_settings(), folder, site_address())
