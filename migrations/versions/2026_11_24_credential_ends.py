"""When credentials end, where they tell.

The program of the release before must go on working on the new schema: add, fill, then remove in a
later release.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate up."""
    op.create_table(
        "credential_end",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column(
            "origin",
            sa.Text(),
            nullable=False,
            comment="Where the credential comes from, such as a variable's name; never its value.",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the credential last said so.",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_credential_end_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_credential_end")),
    )


def downgrade() -> None:
    """Migrate down."""
    op.drop_table("credential_end")
