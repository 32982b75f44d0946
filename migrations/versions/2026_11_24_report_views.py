"""Daily figures, the report views, and the role that may only read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mirror.history.migrate import sql_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FUNCTIONS = (
    *("runs_since", "tags_since", "delays_since", "failures_since", "probes_since"),
    *("quotas_since", "looks_since", "roll_up", "run_figures", "tag_figures", "delay_figures"),
    *("failure_figures", "probe_figures", "quota_figures", "watch_figures", "day_after"),
    *("month_of", "closed_until"),
)
VIEWS = (
    *("report_success_rate", "report_delay", "report_failures", "report_freshness"),
    *("report_recent_runs", "report_tag_history", "report_quota", "report_traffic"),
    *("report_pull_speed", "report_pull_failures", "report_adoption"),
)


def upgrade() -> None:
    """Migrate up."""
    op.create_table(
        "closed",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_closed_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closed")),
    )
    op.create_table(
        "daily_quota",
        sa.Column("registry", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("quota", sa.Integer(), nullable=False),
        sa.Column("least_remaining", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("registry", "account", "day", name=op.f("pk_daily_quota")),
    )
    op.create_index(op.f("ix_daily_quota_day"), "daily_quota", ["day"], unique=False)
    op.create_table(
        "daily_watch",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("looks", sa.BigInteger(), nullable=False),
        sa.Column("looks_failed", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_daily_watch")),
    )
    op.create_table(
        "daily_delay",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False, comment="Up to 1.05^bucket seconds."),
        sa.Column("tags", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_daily_delay_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "day", "bucket", name=op.f("pk_daily_delay")),
    )
    op.create_index(op.f("ix_daily_delay_day"), "daily_delay", ["day"], unique=False)
    op.create_table(
        "monthly_delay",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False, comment="Its first day."),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("tags", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_monthly_delay_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "month", "bucket", name=op.f("pk_monthly_delay")),
    )
    op.create_index(op.f("ix_monthly_delay_month"), "monthly_delay", ["month"], unique=False)
    op.create_table(
        "daily_failure",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="tag or run."),
        sa.Column("tag", sa.Text(), nullable=False, comment="Empty for runs."),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run", sa.Uuid(), nullable=False),
        sa.Column("last_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_daily_failure_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint(
            "mirror_id", "day", "scope", "tag", "reason", name=op.f("pk_daily_failure")
        ),
    )
    op.create_index(op.f("ix_daily_failure_day"), "daily_failure", ["day"], unique=False)
    op.create_table(
        "daily_probe",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("source_pulls", sa.BigInteger(), nullable=False),
        sa.Column("source_failed", sa.BigInteger(), nullable=False),
        sa.Column("target_pulls", sa.BigInteger(), nullable=False),
        sa.Column("target_failed", sa.BigInteger(), nullable=False),
        sa.Column("pairs", sa.BigInteger(), nullable=False),
        sa.Column("source_bytes", sa.BigInteger(), nullable=False),
        sa.Column("source_seconds", sa.Float(), nullable=False),
        sa.Column("target_bytes", sa.BigInteger(), nullable=False),
        sa.Column("target_seconds", sa.Float(), nullable=False),
        sa.Column("gain_p50", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_daily_probe_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "day", "place", name=op.f("pk_daily_probe")),
    )
    op.create_index(op.f("ix_daily_probe_day"), "daily_probe", ["day"], unique=False)
    op.create_table(
        "daily_run",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("partial", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("abandoned", sa.BigInteger(), nullable=False),
        sa.Column("bytes_copied", sa.BigInteger(), nullable=False),
        sa.Column("requests_source", sa.BigInteger(), nullable=False),
        sa.Column("requests_target", sa.BigInteger(), nullable=False),
        sa.Column("blobs_copied", sa.BigInteger(), nullable=False),
        sa.Column("blobs_mounted", sa.BigInteger(), nullable=False),
        sa.Column("blobs_reused", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_daily_run_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "day", name=op.f("pk_daily_run")),
    )
    op.create_index(op.f("ix_daily_run_day"), "daily_run", ["day"], unique=False)
    op.create_table(
        "daily_tag",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("abandoned", sa.BigInteger(), nullable=False),
        sa.Column(
            "retried", sa.BigInteger(), nullable=False, comment="Succeeded with attempts > 1."
        ),
        sa.Column("delays", sa.BigInteger(), nullable=False),
        sa.Column(
            "delays_in_goal", sa.BigInteger(), nullable=False, comment="By the goal of that day."
        ),
        sa.Column(
            "delays_detected", sa.BigInteger(), nullable=False, comment="Counted from detection."
        ),
        sa.Column(
            "delays_followed",
            sa.BigInteger(),
            nullable=False,
            comment="Counted from followed_since.",
        ),
        sa.Column("delay_p50", sa.Float(), nullable=True),
        sa.Column("delay_p95", sa.Float(), nullable=True),
        sa.Column("delay_p99", sa.Float(), nullable=True),
        sa.Column("delay_max", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_daily_tag_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "day", name=op.f("pk_daily_tag")),
    )
    op.create_index(op.f("ix_daily_tag_day"), "daily_tag", ["day"], unique=False)
    op.create_table(
        "tag_past",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_digest", sa.Text(), nullable=False),
        sa.Column("target_digest", sa.Text(), nullable=True),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delay_seconds", sa.Float(), nullable=True),
        sa.Column("delay_from", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_tag_past_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("mirror_id", "tag", "available_at", name=op.f("pk_tag_past")),
    )
    op.create_index(
        "ix_sync_run_succeeded",
        "sync_run",
        ["mirror_id", "ended_at"],
        unique=False,
        postgresql_where=sa.text("status = 'succeeded' AND NOT dry_run"),
    )
    op.execute("INSERT INTO closed VALUES (1, '-infinity')")
    for name in ("figures.sql", "since.sql", "views.sql", "reader.sql"):
        op.execute(sql_file(name))


def downgrade() -> None:
    """Migrate down. The role stays: other databases of the server may use it."""
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.drop_index(
        "ix_sync_run_succeeded",
        table_name="sync_run",
        postgresql_where=sa.text("status = 'succeeded' AND NOT dry_run"),
    )
    op.drop_table("tag_past")
    op.drop_index(op.f("ix_daily_tag_day"), table_name="daily_tag")
    op.drop_table("daily_tag")
    op.drop_index(op.f("ix_daily_run_day"), table_name="daily_run")
    op.drop_table("daily_run")
    op.drop_index(op.f("ix_daily_probe_day"), table_name="daily_probe")
    op.drop_table("daily_probe")
    op.drop_index(op.f("ix_daily_failure_day"), table_name="daily_failure")
    op.drop_table("daily_failure")
    op.drop_index(op.f("ix_daily_delay_day"), table_name="daily_delay")
    op.drop_table("daily_delay")
    op.drop_table("monthly_delay")
    op.drop_table("daily_watch")
    op.drop_index(op.f("ix_daily_quota_day"), table_name="daily_quota")
    op.drop_table("daily_quota")
    op.drop_table("closed")
