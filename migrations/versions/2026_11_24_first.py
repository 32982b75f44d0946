"""The first tables, with partitions for this month and the next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from mirror.history.migrate import sql_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UNSETTLED = (
    "copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held OR gone_at IS NOT NULL"
)


def upgrade() -> None:
    """Migrate up."""
    op.create_table(
        "quota_reading",
        sa.Column("registry", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False, comment="Empty: anonymous."),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quota", sa.Integer(), nullable=False, comment="Pulls allowed in the window."),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("registry", "account", "read_at", name=op.f("pk_quota_reading")),
        postgresql_partition_by="RANGE (read_at)",
    )
    op.create_table(
        "repository",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "registry", sa.Text(), nullable=False, comment="Host[:port]; docker.io for Docker Hub."
        ),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Path in the registry, such as library/postgres.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
        sa.UniqueConstraint("registry", "name", name=op.f("uq_repository_registry_name")),
    )
    op.create_table(
        "watch_run",
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "looked", sa.ARRAY(sa.Text()), nullable=False, comment="Mirrors whose source was read."
        ),
        sa.Column(
            "moved", sa.ARRAY(sa.Text()), nullable=False, comment="Mirrors whose sync was started."
        ),
        sa.Column(
            "failed",
            sa.ARRAY(sa.Text()),
            nullable=False,
            comment="Mirrors whose source could not be read.",
        ),
        sa.Column(
            "messages", sa.ARRAY(sa.Text()), nullable=False, comment="Why, in the order of failed."
        ),
        sa.Column(
            "requests",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="HTTP requests to the sources.",
        ),
        sa.PrimaryKeyConstraint("started_at", "id", name=op.f("pk_watch_run")),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_table(
        "blob_presence",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Bytes."),
        sa.Column(
            "placed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_blob_presence_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_blob_presence")),
    )
    op.create_index(op.f("ix_blob_presence_digest"), "blob_presence", ["digest"], unique=False)
    op.create_table(
        "mirror",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="As in mirrors.yaml."),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column(
            "policy",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="Which tags and platforms are mirrored, as configured.",
        ),
        sa.Column("every", sa.Interval(), nullable=False, comment="Between scheduled syncs."),
        sa.Column(
            "watch_every", sa.Interval(), nullable=False, comment="Between looks of the watch."
        ),
        sa.Column(
            "delay_goal",
            sa.Interval(),
            nullable=False,
            comment="From push at the source to verified at the target, at most.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the record first heard of it.",
        ),
        sa.Column(
            "followed_since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Creation, or the last change of source, target or policy. Delays count from here for tags that were pushed before.",
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["repository.id"], name=op.f("fk_mirror_source_id_repository")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["repository.id"], name=op.f("fk_mirror_target_id_repository")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirror")),
        sa.UniqueConstraint("name", name=op.f("uq_mirror_name")),
    )
    op.create_index(op.f("ix_mirror_source_id"), "mirror", ["source_id"], unique=False)
    op.create_index(op.f("ix_mirror_target_id"), "mirror", ["target_id"], unique=False)
    op.create_table(
        "pull_count",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("pulls", sa.BigInteger(), nullable=False, comment="Since the repository exists."),
        sa.Column(
            "counted_at", sa.DateTime(timezone=True), nullable=False, comment="The day's last look."
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_pull_count_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "day", name=op.f("pk_pull_count")),
    )
    op.create_table(
        "registry_ability",
        sa.Column("repository_id", sa.Integer(), nullable=False),
        sa.Column("abilities", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("learnt_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_registry_ability_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_registry_ability")),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False, comment="Such as tag_failed or delay_goal."),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("mirror_id", sa.Integer(), nullable=True),
        sa.Column(
            "subject",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="What it is about within rule and mirror: a tag, a registry.",
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it last still held.",
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "repeats", sa.Integer(), server_default="0", nullable=False, comment="Reminders sent."
        ),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="What the message says: tags, reason, numbers, links.",
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'critical')", name=op.f("ck_alert_severity")
        ),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_alert_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(
        op.f("ix_alert_mirror_id_opened_at"), "alert", ["mirror_id", "opened_at"], unique=False
    )
    op.create_index(op.f("ix_alert_opened_at"), "alert", ["opened_at"], unique=False)
    op.create_index(
        "uq_alert_open",
        "alert",
        ["rule", sa.literal_column("coalesce(mirror_id, 0)"), "subject"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "audit_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "deep", sa.Boolean(), nullable=False, comment="Every blob was fetched and hashed."
        ),
        sa.Column("tags", sa.Integer(), server_default="0", nullable=False, comment="Compared."),
        sa.Column(
            "blobs_checked",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Seen by HEAD, size compared.",
        ),
        sa.Column(
            "blobs_hashed",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Fetched and hashed.",
        ),
        sa.Column("bytes_hashed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("requests", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it could not be finished."),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock', 'abandoned', 'internal')",
            name=op.f("ck_audit_run_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_audit_run_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_run")),
    )
    op.create_index(
        op.f("ix_audit_run_mirror_id_started_at"),
        "audit_run",
        ["mirror_id", "started_at"],
        unique=False,
    )
    op.create_table(
        "probe",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column(
            "probed_at", sa.DateTime(timezone=True), nullable=False, comment="Begin of the round."
        ),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column(
            "place",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="Where the pull ran, such as cn-hangzhou.",
        ),
        sa.Column("digest", sa.Text(), nullable=True, comment="Of the manifest or index pulled."),
        sa.Column("first_byte_seconds", sa.Float(), nullable=True),
        sa.Column(
            "seconds", sa.Float(), nullable=True, comment="Whole pull, from the first request."
        ),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("well", sa.Boolean(), nullable=False, comment="The pull ended well."),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock', 'abandoned', 'internal')",
            name=op.f("ck_probe_reason"),
        ),
        sa.CheckConstraint("side IN ('source', 'target')", name=op.f("ck_probe_side")),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_probe_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint(
            "mirror_id", "probed_at", "tag", "side", "place", name=op.f("pk_probe")
        ),
        postgresql_partition_by="RANGE (probed_at)",
    )
    op.create_index(op.f("ix_probe_probed_at"), "probe", ["probed_at"], unique=False)
    op.create_table(
        "sync_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column(
            "complete", sa.Boolean(), nullable=False, comment="Both sides were compared (--full)."
        ),
        sa.Column("dry_run", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True, comment="Prefect's id of the flow run."),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tags_discovered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tags_changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tags_copied", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tags_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blobs_copied", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blobs_mounted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blobs_reused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bytes_copied", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("requests_source", sa.Integer(), server_default="0", nullable=False),
        sa.Column("requests_target", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seconds_discover", sa.Float(), server_default="0", nullable=False),
        sa.Column("seconds_diff", sa.Float(), server_default="0", nullable=False),
        sa.Column("seconds_copy", sa.Float(), server_default="0", nullable=False),
        sa.Column("seconds_verify", sa.Float(), server_default="0", nullable=False),
        sa.Column(
            "seconds_total",
            sa.Float(),
            server_default="0",
            nullable=False,
            comment="The flow's own work; copy and verify overlap.",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why the run as a whole failed."),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("warnings", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint(
            "reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock', 'abandoned', 'internal')",
            name=op.f("ck_sync_run_reason"),
        ),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'partial', 'failed', 'abandoned')",
            name=op.f("ck_sync_run_status"),
        ),
        sa.CheckConstraint(
            "trigger IN ('schedule', 'watch', 'manual')", name=op.f("ck_sync_run_trigger")
        ),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_sync_run_mirror_id_mirror")
        ),
        sa.PrimaryKeyConstraint("id", "started_at", name=op.f("pk_sync_run")),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index(op.f("ix_sync_run_ended_at"), "sync_run", ["ended_at"], unique=False)
    op.create_index(
        "ix_sync_run_running",
        "sync_run",
        ["mirror_id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        op.f("ix_sync_run_mirror_id_started_at"),
        "sync_run",
        ["mirror_id", "started_at"],
        unique=False,
    )
    op.create_table(
        "tag_state",
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column(
            "source_digest", sa.Text(), nullable=True, comment="What the source last pointed at."
        ),
        sa.Column(
            "copied_digest",
            sa.Text(),
            nullable=True,
            comment="Source digest of what was last copied and verified.",
        ),
        sa.Column(
            "target_digest",
            sa.Text(),
            nullable=True,
            comment="What the target was left at; differs from copied_digest where parts were left out.",
        ),
        sa.Column(
            "pushed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the source says it was pushed.",
        ),
        sa.Column(
            "detected_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When source_digest was first seen.",
        ),
        sa.Column(
            "available_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When copied_digest was verified at the target; NULL if it was found there.",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Failed attempts at source_digest.",
        ),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="A failed tag is left alone until then.",
        ),
        sa.Column(
            "failed_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First of the failures that have lasted until now; NULL when the last try was well.",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="Of the last failure, if it still stands."
        ),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column(
            "held",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="Immutable and moved at the source: left as it was.",
        ),
        sa.Column(
            "gone_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the source ceased to list it.",
        ),
        sa.Column(
            "suspect",
            sa.Text(),
            nullable=True,
            comment="What an audit found at the target, until a sync has repaired it.",
        ),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_tag_state_mirror_id_mirror")
        ),
        sa.CheckConstraint("suspect IN ('missing', 'drifted')", name=op.f("ck_tag_state_suspect")),
        sa.PrimaryKeyConstraint("mirror_id", "tag", name=op.f("pk_tag_state")),
    )
    op.create_index(
        "ix_tag_state_unsettled",
        "tag_state",
        ["mirror_id"],
        unique=False,
        postgresql_where=sa.text(UNSETTLED),
    )
    op.create_index(
        op.f("ix_tag_state_mirror_id_available_at"),
        "tag_state",
        ["mirror_id", "available_at"],
        unique=False,
    )
    op.create_table(
        "alert_delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Not before: quiet hours, pace of retries.",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gave_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "error", sa.Text(), nullable=True, comment="Of the last attempt; never a secret."
        ),
        sa.CheckConstraint(
            "kind IN ('opened', 'repeated', 'closed')", name=op.f("ck_alert_delivery_kind")
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alert.id"],
            name=op.f("fk_alert_delivery_alert_id_alert"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_delivery")),
    )
    op.create_index(
        op.f("ix_alert_delivery_alert_id"), "alert_delivery", ["alert_id"], unique=False
    )
    op.create_index(
        "ix_alert_delivery_due",
        "alert_delivery",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "audit_finding",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True, comment="Of what is missing or wrong."),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "repaired_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a later sync verified the tag again; for wrong_content,"
            " when a later audit hashed the blob and it was right.",
        ),
        sa.CheckConstraint(
            "kind IN ('behind', 'missing_tag', 'wrong_digest', 'missing_manifest', 'missing_blob', 'wrong_size', 'wrong_content', 'extra_tag', 'unreadable')",
            name=op.f("ck_audit_finding_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["audit_id"],
            ["audit_run.id"],
            name=op.f("fk_audit_finding_audit_id_audit_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_finding")),
    )
    op.create_index(op.f("ix_audit_finding_audit_id"), "audit_finding", ["audit_id"], unique=False)
    op.create_index(
        "ix_audit_finding_open",
        "audit_finding",
        ["tag"],
        unique=False,
        postgresql_where=sa.text("repaired_at IS NULL"),
    )
    op.create_table(
        "tag_sync",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("run_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("mirror_id", sa.Integer(), nullable=False),
        sa.Column(
            "target_tag", sa.Text(), nullable=False, comment="Differs from tag only by rename."
        ),
        sa.Column(
            "kind", sa.Text(), nullable=True, comment="NULL: the source would not tell its digest."
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source_digest", sa.Text(), nullable=True),
        sa.Column("target_digest", sa.Text(), nullable=True),
        sa.Column("previous_digest", sa.Text(), nullable=True, comment="Of the target, before."),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "available_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Verified at the target.",
        ),
        sa.Column(
            "delay_seconds",
            sa.Float(),
            nullable=True,
            comment="available_at minus the latest of push (else detection) and the mirror's followed_since; only for new and moved tags that arrived.",
        ),
        sa.Column(
            "delay_from",
            sa.Text(),
            nullable=True,
            comment="What the delay counts from: pushed (the source told), detected (it did not), followed (pushed before the mirror followed this tag).",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="Tries at this digest so far, earlier runs included.",
        ),
        sa.Column("blobs_copied", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blobs_mounted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blobs_reused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bytes_copied", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("referrers", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "dropped",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Parts left out at the target: digest, media_type, reason, platform.",
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "delay_from IN ('pushed', 'detected', 'followed')", name=op.f("ck_tag_sync_delay_from")
        ),
        sa.CheckConstraint(
            "kind IN ('new', 'moved', 'missing', 'drifted', 'gone')", name=op.f("ck_tag_sync_kind")
        ),
        sa.CheckConstraint(
            "reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock', 'abandoned', 'internal')",
            name=op.f("ck_tag_sync_reason"),
        ),
        sa.CheckConstraint(
            "status IN ('running', 'succeeded', 'failed', 'waiting', 'held', 'deleted', 'abandoned')",
            name=op.f("ck_tag_sync_status"),
        ),
        sa.ForeignKeyConstraint(
            ["mirror_id"], ["mirror.id"], name=op.f("fk_tag_sync_mirror_id_mirror")
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "run_started_at"],
            ["sync_run.id", "sync_run.started_at"],
            name=op.f("fk_tag_sync_run_id_run_started_at_sync_run"),
        ),
        sa.PrimaryKeyConstraint("run_id", "run_started_at", "tag", name=op.f("pk_tag_sync")),
        postgresql_partition_by="RANGE (run_started_at)",
    )
    op.create_index(op.f("ix_tag_sync_ended_at"), "tag_sync", ["ended_at"], unique=False)
    op.create_index(
        op.f("ix_tag_sync_mirror_id_tag_ended_at"),
        "tag_sync",
        ["mirror_id", "tag", "ended_at"],
        unique=False,
    )
    op.execute(sql_file("partitions.sql"))
    op.execute("SELECT make_partitions(now(), now() + interval '3 months')")


def downgrade() -> None:
    """Migrate down."""
    op.drop_index(op.f("ix_tag_sync_mirror_id_tag_ended_at"), table_name="tag_sync")
    op.drop_index(op.f("ix_tag_sync_ended_at"), table_name="tag_sync")
    op.drop_table("tag_sync")
    op.drop_index(op.f("ix_audit_finding_audit_id"), table_name="audit_finding")
    op.drop_table("audit_finding")
    op.drop_index(
        "ix_alert_delivery_due",
        table_name="alert_delivery",
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.drop_index(op.f("ix_alert_delivery_alert_id"), table_name="alert_delivery")
    op.drop_table("alert_delivery")
    op.drop_index(
        "ix_tag_state_unsettled", table_name="tag_state", postgresql_where=sa.text(UNSETTLED)
    )
    op.drop_index(op.f("ix_tag_state_mirror_id_available_at"), table_name="tag_state")
    op.drop_table("tag_state")
    op.drop_index("ix_sync_run_running", table_name="sync_run")
    op.drop_index(op.f("ix_sync_run_mirror_id_started_at"), table_name="sync_run")
    op.drop_index(op.f("ix_sync_run_ended_at"), table_name="sync_run")
    op.drop_table("sync_run")
    op.drop_index(op.f("ix_probe_probed_at"), table_name="probe")
    op.drop_table("probe")
    op.drop_index(op.f("ix_audit_run_mirror_id_started_at"), table_name="audit_run")
    op.drop_table("audit_run")
    op.drop_index(
        "uq_alert_open", table_name="alert", postgresql_where=sa.text("closed_at IS NULL")
    )
    op.drop_index(op.f("ix_alert_opened_at"), table_name="alert")
    op.drop_index(op.f("ix_alert_mirror_id_opened_at"), table_name="alert")
    op.drop_table("alert")
    op.drop_table("registry_ability")
    op.drop_table("pull_count")
    op.drop_index(op.f("ix_mirror_target_id"), table_name="mirror")
    op.drop_index(op.f("ix_mirror_source_id"), table_name="mirror")
    op.drop_table("mirror")
    op.drop_index(op.f("ix_blob_presence_digest"), table_name="blob_presence")
    op.drop_table("blob_presence")
    op.drop_table("watch_run")
    op.drop_table("repository")
    op.drop_table("quota_reading")
    op.execute("DROP FUNCTION drop_partitions")
    op.execute("DROP FUNCTION make_partitions")
    op.execute("DROP FUNCTION partitioned_tables")
