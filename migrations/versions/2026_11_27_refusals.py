"""Why and when optional requests failed at a registry, and until when that holds."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0003_refusals"
down_revision = "0002_reasons"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/refusals.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
