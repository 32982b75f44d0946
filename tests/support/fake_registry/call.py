"""A request with the switches of the registry that got it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flows.local.sample_registry.call import Call
from flows.local.sample_registry.replies import Reply
from tests.support.fake_registry.behaviour import Behaviour


@dataclass(frozen=True)
class FakeCall(Call):
    """A call at a FakeRegistry, already authorised.

    `cdn` is scheme and host of the server that blobs are fetched from. `may_pull` says whether
    the caller may pull from another repository. `short_chunks` are the uploads whose last chunk
    was below the minimum.
    """

    behaviour: Behaviour
    cdn: str | None
    may_pull: Callable[[str], bool]
    short_chunks: set[str]


def without(reply: Reply, header: str) -> dict[str, str]:
    """The headers of a reply, one left out."""
    return {name: value for name, value in reply.headers.items() if name != header}
