"""A registry: the way in."""

from __future__ import annotations

from mirror.registry.client import Client
from mirror.registry.http import Ask
from mirror.registry.repository import Repository


class Registry(Client):
    """A registry and the connections to it; an async context manager.

    `requests` counts every HTTP request sent for it, `quota` is what its headers last said of the
    pull quota, `abilities` is what it was seen to do.
    """

    def repository(self, name: str) -> Repository:
        """A repository by name, without its registry; raises InvalidReference."""
        return Repository(self, name)

    async def ping(self) -> None:
        """Reach the registry and log in ("Determining Support").

        Raises Unauthorized, ConnectionFailed, TimedOut, or NotFound where no registry answers.
        """
        await self.call(
            Ask("GET", f"{self.endpoint.base}/v2/", self.where("the version check")), (200,)
        )
