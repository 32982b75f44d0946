"""What the source tells of a tag beside its digest: size and platforms, for the public site."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    op.add_column(
        "tag_state",
        sa.Column(
            "size",
            sa.BigInteger(),
            nullable=True,
            comment="Bytes of the largest platform, where the source tells.",
        ),
    )
    op.add_column(
        "tag_state",
        sa.Column(
            "platforms",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="Such as linux/amd64, where the source tells.",
        ),
    )


def downgrade() -> None:
    """Migrate down."""
    op.drop_column("tag_state", "platforms")
    op.drop_column("tag_state", "size")
