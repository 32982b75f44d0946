"""${message}

The program of the release before must go on working on the new schema: add, fill, then remove in a
later release.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
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
