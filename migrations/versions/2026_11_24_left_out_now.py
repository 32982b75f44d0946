"""What is left out of each tag now stands with the tag, not only in its past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    op.add_column(
        "tag_state",
        sa.Column(
            "dropped",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Parts left out at the target, as in tag_sync.",
        ),
    )
    op.execute("""
        UPDATE tag_state SET dropped = arrival.dropped
        FROM (
            SELECT DISTINCT ON (mirror_id, tag) mirror_id, tag, source_digest, dropped
            FROM tag_sync WHERE status = 'succeeded' AND dropped IS NOT NULL
            ORDER BY mirror_id, tag, ended_at DESC
        ) arrival
        WHERE arrival.mirror_id = tag_state.mirror_id AND arrival.tag = tag_state.tag
          AND arrival.source_digest = tag_state.copied_digest
    """)
    for table in ("tag_state", "tag_sync"):
        op.create_index(
            f"ix_{table}_dropped",
            table,
            ["mirror_id"],
            unique=False,
            postgresql_where=sa.text("dropped IS NOT NULL"),
        )


def downgrade() -> None:
    """Migrate down."""
    op.drop_index("ix_tag_sync_dropped", table_name="tag_sync")
    op.drop_index("ix_tag_state_dropped", table_name="tag_state")
    op.drop_column("tag_state", "dropped")
