"""Views that stay fast at a thousand mirrors with a million tags: an index, two views."""

from __future__ import annotations

from alembic import op

from mirror.history.database.migrate import execute_file

revision = "0010_scale"
down_revision = "0009_hooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    with op.get_context().autocommit_block():  # an index is built concurrently outside of one
        for statement in ("drop_index.sql", "index.sql"):
            execute_file(f"{revision}/{statement}")
    execute_file(f"{revision}/views.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
