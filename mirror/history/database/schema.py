"""Whether the history's schema is the one that this program needs."""

from __future__ import annotations

from mirror.history.database.address import describe, is_embedded, owner_url
from mirror.history.database.errors import SchemaBehind
from mirror.history.database.revision import HEAD, current_revision, supports_this_program


def prepare(url: str) -> None:
    """Check that the history can be used; takes 10 ms if it can.

    The embedded database is migrated automatically. A server's is not: raises SchemaBehind with
    the command to run. A newer schema is used if it says that it supports this program. Raises
    DatabaseAway. Blocks: from async code, call it in a thread.
    """
    url = owner_url(url)
    revision = current_revision(url)
    if revision == HEAD:
        return
    from mirror.history.database import migrate

    if migrate.is_newer(revision) and supports_this_program(url):
        return  # migrated by a newer version while this one still runs
    migrate.refuse_unknown(url, revision)
    if not is_embedded(url):
        state = f"at revision {revision}" if revision else "empty"
        raise SchemaBehind(
            f"the database {describe(url)} is {state}, this program needs {HEAD};"
            " run `mirror migrate`"
        )
    migrate.upgrade(url)
