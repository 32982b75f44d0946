"""The repositories of entries for many repositories."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0004_entries"
down_revision = "0003_refusals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/entries.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
