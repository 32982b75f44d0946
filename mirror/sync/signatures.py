"""The signature policy: a tag is copied only if its image is signed by the mirror's key.

What is verified is the digest that is copied, by name and content, before anything of the tag is
visible at the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mirror.concurrency import SingleFlight
from mirror.config import CosignKey
from mirror.outcome import Change, Reason, TagFailure, utcnow
from mirror.registry import CosignSignature, RegistryError, Repository, read_signatures
from mirror.sync.tags import subject_of

_AT_ONCE: Final = 8  # images whose signatures are read: their manifests may have 8 MiB each
_SOONEST: Final = timedelta(seconds=15)
_LATEST: Final = timedelta(minutes=5)
_NAMED: Final = 3  # signatures that are named in a message


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A tag that may not be copied.

    retry_at: when to look again, while the signature may only be late; then it is no failure.
    """

    failure: TagFailure
    retry_at: datetime | None = None


class SignatureCheck:
    """Verifies the signatures of a source's images, for one run."""

    def __init__(self, source: Repository, keys: Sequence[CosignKey], wait: timedelta) -> None:
        """`keys`: one of them must have signed; none: nothing is verified. `wait`: how long after
        it was detected a tag may lack its signature, which CI pushes after the image."""
        self._source = source
        self._keys = tuple(keys)
        self._wait = wait
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._verified: SingleFlight[str, str | None] = SingleFlight()

    async def refuse(self, change: Change) -> Unsigned | None:
        """Why the tag may not be copied; None if it may.

        Signatures and SBOMs themselves (`sha256-…` tags) are not images: they may.
        """
        if not self._keys or subject_of(change.tag) is not None:
            return None
        try:
            problem = await self.problem(change.digest)
        except RegistryError as error:
            return Unsigned(TagFailure(change.tag, Reason(error.reason), str(error)))
        if problem is None:
            return None
        now = utcnow()
        waited = now - change.detected_at
        file = self._keys[0].file.name
        if waited < self._wait:
            message = f"waits for a signature by {file}: {problem}"
            pace = min(max(waited / 2, _SOONEST), _LATEST)
            return Unsigned(TagFailure(change.tag, Reason.UNSIGNED, message), now + pace)
        message = (
            f"{self._source}@{change.digest} has no valid signature by {file}: {problem}; not"
            f" mirrored: sign it with cosign sign --key, or correct verify in mirrors.yaml"
        )
        return Unsigned(TagFailure(change.tag, Reason.UNSIGNED, message))

    async def problem(self, digest: str) -> str | None:
        """What is wrong with the signatures of an image; None if one of them is valid.

        Raises RegistryError where they cannot be read.
        """
        problem, _ = await self._verified.do(digest, lambda: self._problem(digest))
        return problem

    async def _problem(self, digest: str) -> str | None:
        """None if one of the signatures is valid, else what is wrong with them."""
        problems: list[str] = []
        async with self._slots, aclosing(read_signatures(self._source, digest)) as found:
            async for one in found:
                if not isinstance(one, CosignSignature):
                    problems.append(one.why)
                elif not any(key.signed(one.signed, one.signature) for key in self._keys):
                    problems.append("a signature by another key")
                elif mistake := one.mistake(digest):
                    problems.append(mistake)
                else:
                    return None
        return _summary(problems)


def _summary(problems: Sequence[str]) -> str:
    if not problems:
        return "none was found"
    distinct = list(dict.fromkeys(problems))
    more = f", and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
    return ", ".join(distinct[:_NAMED]) + more
