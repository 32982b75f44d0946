"""Expiry times that credentials carry, recorded for the rule credential_expiring."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from mirror.config import SecretLoader, Settings, endpoint, expires_at
from mirror.errors import ConfigError
from mirror.registry import Credential, Reference

_SAVE = sa.text("""
    INSERT INTO credential_end (repository_id, origin, expires_at, seen_at)
    SELECT id, :origin, :expires_at, :now FROM repository
    WHERE registry = :registry AND name = :name
    ON CONFLICT (repository_id) DO UPDATE SET
        origin = excluded.origin, expires_at = excluded.expires_at, seen_at = excluded.seen_at
""")
_FORGET = sa.text("""
    DELETE FROM credential_end USING repository
    WHERE repository.id = repository_id AND registry = :registry AND name = :name
""")


def note_credential_ends(
    settings: Settings, engine: sa.Engine, now: datetime, secrets: SecretLoader | None = None
) -> None:
    """Record when the credentials of all mirrors' repositories expire.

    `settings`: with the mirrors of the entries' repositories (mirror.history.with_repositories).
    Those of one entry and one folder of a registry have one credential, which is read once: a
    helper is a program. Blocks. A credential that cannot be read is skipped; the syncs report it.
    """
    with engine.begin() as connection:
        for reference, credential in _credentials(settings, secrets):
            values = {"registry": reference.registry, "name": reference.repository}
            ends = expires_at(credential) if credential else None
            if credential is None or ends is None:
                connection.execute(_FORGET, values)
            else:
                expiry = {"origin": credential.origin, "expires_at": ends, "now": now}
                connection.execute(_SAVE, values | expiry)


def _credentials(
    settings: Settings, secrets: SecretLoader | None
) -> Iterator[tuple[Reference, Credential | None]]:
    found: dict[tuple[str, str], Credential | None] = {}
    for name, mirror in sorted(settings.mirrors.items()):
        entry, of_many, _ = name.partition("/")
        for side in (mirror.source, mirror.target):
            reference = Reference.parse(side)
            folder = side.rpartition("/")[0]
            key = (entry, folder) if of_many else ("", side)
            try:
                if key not in found:
                    reached = endpoint(settings, reference.registry, secrets)
                    found[key] = reached.credential(reference.repository)
            except ConfigError:
                continue
            yield reference, found[key]
