"""Which older programs may use the schema: workers that still run while it is migrated."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0008_programs"
down_revision = "0007_views"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/programs.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
