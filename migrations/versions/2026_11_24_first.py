"""The first schema: tables, partitions for this month and the next three, figures, views, role."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    for name in ("tables", "partitions", "figures", "since", "views", "reader"):
        execute_file(f"{revision}/{name}.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
