"""A kind of change for signatures and SBOMs that come later than their image."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    _allow("'new', 'moved', 'missing', 'drifted', 'gone', 'referrers'")


def downgrade() -> None:
    """Migrate down."""
    op.execute("UPDATE tag_sync SET kind = 'missing' WHERE kind = 'referrers'")
    _allow("'new', 'moved', 'missing', 'drifted', 'gone'")


def _allow(kinds: str) -> None:
    op.drop_constraint(op.f("ck_tag_sync_kind"), "tag_sync", type_="check")
    op.create_check_constraint(op.f("ck_tag_sync_kind"), "tag_sync", f"kind IN ({kinds})")
