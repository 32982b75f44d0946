"""One more reason, and kind of findings: unsigned (by the key that a mirror wants)."""

from __future__ import annotations

from alembic import op

from mirror.history.database.migrate import execute_file

revision = "0011_unsigned"
down_revision = "0010_scale"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/constraints.sql")
    # Each in its own transaction: reading ten million rows must not hold up writers.
    with op.get_context().autocommit_block():
        execute_file(f"{revision}/validate.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
