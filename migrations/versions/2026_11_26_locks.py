"""Who holds the lock of a target, its heartbeat, and the token that its writes show."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0005_locks"
down_revision = "0004_entries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/locks.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
