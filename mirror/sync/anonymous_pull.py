"""Whether people without an account can pull from a target, which is the purpose of a mirror."""

from __future__ import annotations

from collections.abc import Sequence

from mirror.outcome import CopyOutcome
from mirror.registry import NotFound, RegistryError, Repository, Unauthorized
from mirror.sync.clients import MirrorClients


async def anonymous_trouble(anonymous: Repository, tag: str | None) -> str | None:
    """Why an anonymous user cannot pull a tag that is there; None if one can.

    `anonymous`: the target reached without a credential. One HEAD, or without a tag one look at
    the list. Registries that make a repository with the first push may make it private.
    """
    name = f"{anonymous.registry.host}/{anonymous.name}"
    try:
        if tag is None:
            await anonymous.tags()
        elif await anonymous.head_manifest(tag) is None:
            return f"anonymous users do not see the tags of {name}: make the repository public"
    except NotFound:
        return None  # not there yet for anybody
    except Unauthorized as error:
        return (
            f"anonymous users cannot pull from {name} (status {error.status}): make the repository"
            " public, or give its users an account"
        )
    except RegistryError as error:
        return f"cannot check whether anonymous users can pull from {name}: {error}"
    return None


async def warn_if_private(clients: MirrorClients, copied: Sequence[CopyOutcome]) -> str | None:
    """A warning if anonymous users cannot pull what arrived. Sends one HEAD, if that.

    Where the mirror itself needs no credential to push, nobody needs one to pull.
    """
    arrived = [copy.change.target_tag for copy in copied if copy.failure is None]
    target = clients.target
    if not arrived or target.registry.credential_origin(target.name) is None:
        return None
    return await anonymous_trouble(clients.anonymous, arrived[-1])
