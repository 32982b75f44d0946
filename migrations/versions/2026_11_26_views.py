"""Views: tags that are behind, versions, alerts, audit findings, locks; more than a day of runs."""

from __future__ import annotations

from mirror.history.database.migrate import execute_file

revision = "0007_views"
down_revision = "0006_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    execute_file(f"{revision}/views.sql")


def downgrade() -> None:
    """Migrate down."""
    execute_file(f"{revision}/down.sql")
