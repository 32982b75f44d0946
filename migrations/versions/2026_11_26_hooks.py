"""Reports of pushes that services send."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0009_hooks"
down_revision = "0008_programs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/hooks.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
