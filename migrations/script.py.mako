"""${message}

Rules for every revision:
- Its SQL is frozen with it: it runs files of migrations/sql/<revision>/ (execute_file), which never
  change once released. To change a view, add a revision with the new view in a file of its folder.
  List the files in migrations/sql/SHA256SUMS.
- Forward only: released databases are never migrated down. downgrade() is for development and loses
  rows.
- Compatible for one release: the program of the release before keeps working on the new schema. Add
  and fill now, remove in a later release.
- Name the programs that it works with: INSERT INTO supported_program VALUES ('<revision>'), and
  DELETE the revisions whose programs cannot use the schema any more. Theirs is the newest revision
  that they know. tests/history/programs holds the statements of earlier ones.
- Never wait long: a statement that has to wait 5 s for a lock fails and may be run again
  (lock_timeout), one that takes 10 minutes is cancelled (statement_timeout); both are set in
  migrations/env.py. Fill large tables in batches, and build their indexes concurrently.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
from mirror.history.database.migrate import execute_file

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Migrate down."""
    ${downgrades if downgrades else "pass"}
