"""Sums by month of what reports add up: two tables, filled from the daily ones."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0012_totals"
down_revision = "0011_unsigned"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/totals.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
