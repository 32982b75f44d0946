"""Whether people without an account can pull from a target, which is what a mirror is for."""

from __future__ import annotations

from mirror.registry import NotFound, RegistryError, Repository, Unauthorized


async def anonymous_trouble(stranger: Repository, tag: str | None) -> str | None:
    """Why an anonymous user cannot pull a tag that is there; None if nothing stands in the way.

    `stranger`: the target reached without a credential. One HEAD, or without a tag one look at
    the list. Registries that make a repository with the first push may make it private.
    """
    name = str(stranger)
    try:
        if tag is None:
            await stranger.tags()
        elif await stranger.head_manifest(tag) is None:
            return f"anonymous users do not see the tags of {name}: make the repository public"
    except NotFound:
        return None  # not there yet for anybody
    except Unauthorized as error:
        return (
            f"anonymous users cannot pull from {name} (status {error.status}): make the repository"
            " public, or give its users an account"
        )
    except RegistryError as error:
        return f"whether anonymous users can pull from {name} cannot be told: {error}"
    return None
