-- The tables. What each column means is in its comment (\d+ in psql).


-- Mirrors and what they consist of at present: tags, blobs, abilities of registries.

CREATE TABLE repository (
    id integer GENERATED ALWAYS AS IDENTITY,
    registry text NOT NULL,
    name text NOT NULL,
    CONSTRAINT pk_repository PRIMARY KEY (id),
    CONSTRAINT uq_repository_registry_name UNIQUE (registry, name)
);
COMMENT ON COLUMN repository.registry IS 'Host[:port]; docker.io for Docker Hub.';
COMMENT ON COLUMN repository.name IS 'Path in the registry, such as library/postgres.';

CREATE TABLE mirror (
    id integer GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    source_id integer NOT NULL,
    target_id integer NOT NULL,
    policy text DEFAULT '' NOT NULL,
    every interval NOT NULL,
    watch_every interval NOT NULL,
    delay_goal interval NOT NULL,
    created_at timestamptz NOT NULL,
    followed_since timestamptz NOT NULL,
    CONSTRAINT pk_mirror PRIMARY KEY (id),
    CONSTRAINT fk_mirror_source_id_repository FOREIGN KEY (source_id) REFERENCES repository (id),
    CONSTRAINT fk_mirror_target_id_repository FOREIGN KEY (target_id) REFERENCES repository (id),
    CONSTRAINT uq_mirror_name UNIQUE (name)
);
CREATE INDEX ix_mirror_source_id ON mirror (source_id);
CREATE INDEX ix_mirror_target_id ON mirror (target_id);
COMMENT ON COLUMN mirror.name IS 'As in mirrors.yaml.';
COMMENT ON COLUMN mirror.policy IS 'Which tags and platforms are mirrored, as configured.';
COMMENT ON COLUMN mirror.every IS 'Between scheduled syncs.';
COMMENT ON COLUMN mirror.watch_every IS 'Between rounds of the watch.';
COMMENT ON COLUMN mirror.delay_goal IS
    'From push at the source to verified at the target, at most.';
COMMENT ON COLUMN mirror.created_at IS 'When it was first recorded.';
COMMENT ON COLUMN mirror.followed_since IS
    'Creation, or the last change of source, target or policy. Delays count from here for tags that were pushed before.';

CREATE TABLE tag_state (
    mirror_id integer NOT NULL,
    tag text NOT NULL,
    source_digest text,
    copied_digest text,
    target_digest text,
    pushed_at timestamptz,
    detected_at timestamptz NOT NULL,
    available_at timestamptz,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamptz,
    failed_since timestamptz,
    reason text,
    message text,
    held boolean DEFAULT 'false' NOT NULL,
    gone_at timestamptz,
    suspect text,
    size bigint,
    platforms text[],
    dropped jsonb,
    CONSTRAINT pk_tag_state PRIMARY KEY (mirror_id, tag),
    CONSTRAINT fk_tag_state_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id),
    CONSTRAINT ck_tag_state_suspect CHECK (suspect IN ('missing', 'drifted'))
);
CREATE INDEX ix_tag_state_unsettled ON tag_state (mirror_id)
    WHERE copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held OR gone_at IS NOT NULL;
CREATE INDEX ix_tag_state_mirror_id_available_at ON tag_state (mirror_id, available_at);
CREATE INDEX ix_tag_state_dropped ON tag_state (mirror_id) WHERE dropped IS NOT NULL;
COMMENT ON COLUMN tag_state.source_digest IS 'What the source last pointed at.';
COMMENT ON COLUMN tag_state.copied_digest IS 'Source digest of what was last copied and verified.';
COMMENT ON COLUMN tag_state.target_digest IS
    'Digest at the target; differs from copied_digest where parts were left out.';
COMMENT ON COLUMN tag_state.pushed_at IS 'When the source says it was pushed.';
COMMENT ON COLUMN tag_state.detected_at IS 'When source_digest was first seen.';
COMMENT ON COLUMN tag_state.available_at IS
    'When copied_digest was verified at the target; NULL if it was found there.';
COMMENT ON COLUMN tag_state.attempts IS 'Failed attempts at source_digest.';
COMMENT ON COLUMN tag_state.next_attempt_at IS 'A failed tag is not tried again before.';
COMMENT ON COLUMN tag_state.failed_since IS
    'First of the failures that have lasted until now; NULL when the last try succeeded.';
COMMENT ON COLUMN tag_state.reason IS 'Of the last failure, until a try succeeds.';
COMMENT ON COLUMN tag_state.held IS 'Immutable and moved at the source: not copied.';
COMMENT ON COLUMN tag_state.gone_at IS 'When the source stopped listing it.';
COMMENT ON COLUMN tag_state.suspect IS
    'What an audit found at the target, until a sync has repaired it.';
COMMENT ON COLUMN tag_state.size IS 'Bytes of the largest platform, where the source reports it.';
COMMENT ON COLUMN tag_state.platforms IS 'Such as linux/amd64, where the source reports it.';
COMMENT ON COLUMN tag_state.dropped IS 'Parts left out at the target, as in tag_sync.';

CREATE TABLE blob_presence (
    repository_id integer NOT NULL,
    digest text NOT NULL,
    size bigint NOT NULL,
    placed_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_blob_presence PRIMARY KEY (repository_id, digest),
    CONSTRAINT fk_blob_presence_repository_id_repository
        FOREIGN KEY (repository_id) REFERENCES repository (id)
);
CREATE INDEX ix_blob_presence_digest ON blob_presence (digest);
COMMENT ON COLUMN blob_presence.size IS 'Bytes.';

CREATE TABLE registry_ability (
    repository_id integer NOT NULL,
    abilities jsonb NOT NULL,
    learnt_at timestamptz NOT NULL,
    CONSTRAINT pk_registry_ability PRIMARY KEY (repository_id),
    CONSTRAINT fk_registry_ability_repository_id_repository
        FOREIGN KEY (repository_id) REFERENCES repository (id)
);

CREATE TABLE credential_end (
    repository_id integer NOT NULL,
    origin text NOT NULL,
    expires_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_credential_end PRIMARY KEY (repository_id),
    CONSTRAINT fk_credential_end_repository_id_repository
        FOREIGN KEY (repository_id) REFERENCES repository (id)
);
COMMENT ON COLUMN credential_end.origin IS
    'Where the credential comes from, such as a variable''s name; never its value.';
COMMENT ON COLUMN credential_end.seen_at IS 'When this was last read from the credential.';


-- Runs, and the tags that they copied.

CREATE TABLE sync_run (
    id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    mirror_id integer NOT NULL,
    trigger text NOT NULL,
    complete boolean NOT NULL,
    dry_run boolean DEFAULT 'false' NOT NULL,
    flow_run_id text,
    status text NOT NULL,
    ended_at timestamptz,
    tags_discovered integer DEFAULT 0 NOT NULL,
    tags_changed integer DEFAULT 0 NOT NULL,
    tags_copied integer DEFAULT 0 NOT NULL,
    tags_failed integer DEFAULT 0 NOT NULL,
    blobs_copied integer DEFAULT 0 NOT NULL,
    blobs_mounted integer DEFAULT 0 NOT NULL,
    blobs_reused integer DEFAULT 0 NOT NULL,
    bytes_copied bigint DEFAULT '0' NOT NULL,
    requests_source integer DEFAULT 0 NOT NULL,
    requests_target integer DEFAULT 0 NOT NULL,
    seconds_discover double precision DEFAULT '0' NOT NULL,
    seconds_diff double precision DEFAULT '0' NOT NULL,
    seconds_copy double precision DEFAULT '0' NOT NULL,
    seconds_verify double precision DEFAULT '0' NOT NULL,
    seconds_total double precision DEFAULT '0' NOT NULL,
    reason text,
    message text,
    warnings text[] DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_sync_run PRIMARY KEY (id, started_at),
    CONSTRAINT ck_sync_run_reason
        CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type',
            'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock',
            'abandoned', 'internal')),
    CONSTRAINT ck_sync_run_status
        CHECK (status IN ('running', 'succeeded', 'partial', 'failed', 'abandoned')),
    CONSTRAINT ck_sync_run_trigger CHECK (trigger IN ('schedule', 'watch', 'manual')),
    CONSTRAINT fk_sync_run_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
) PARTITION BY RANGE (started_at);
CREATE INDEX ix_sync_run_ended_at ON sync_run (ended_at);
CREATE INDEX ix_sync_run_running ON sync_run (mirror_id) WHERE status = 'running';
CREATE INDEX ix_sync_run_mirror_id_started_at ON sync_run (mirror_id, started_at);
CREATE INDEX ix_sync_run_succeeded ON sync_run (mirror_id, ended_at)
    WHERE status = 'succeeded' AND NOT dry_run;
COMMENT ON COLUMN sync_run.complete IS 'Both sides were compared (--full).';
COMMENT ON COLUMN sync_run.flow_run_id IS 'Prefect''s id of the flow run.';
COMMENT ON COLUMN sync_run.seconds_total IS 'The flow''s own work; copy and verify overlap.';
COMMENT ON COLUMN sync_run.reason IS 'Why the run as a whole failed.';

CREATE TABLE tag_sync (
    run_id uuid NOT NULL,
    run_started_at timestamptz NOT NULL,
    tag text NOT NULL,
    mirror_id integer NOT NULL,
    target_tag text NOT NULL,
    kind text,
    status text NOT NULL,
    source_digest text,
    target_digest text,
    previous_digest text,
    pushed_at timestamptz,
    detected_at timestamptz,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    available_at timestamptz,
    delay_seconds double precision,
    delay_from text,
    attempts integer DEFAULT 1 NOT NULL,
    blobs_copied integer DEFAULT 0 NOT NULL,
    blobs_mounted integer DEFAULT 0 NOT NULL,
    blobs_reused integer DEFAULT 0 NOT NULL,
    bytes_copied bigint DEFAULT '0' NOT NULL,
    referrers integer DEFAULT 0 NOT NULL,
    dropped jsonb,
    reason text,
    message text,
    CONSTRAINT pk_tag_sync PRIMARY KEY (run_id, run_started_at, tag),
    CONSTRAINT ck_tag_sync_delay_from CHECK (delay_from IN ('pushed', 'detected', 'followed')),
    CONSTRAINT ck_tag_sync_kind
        CHECK (kind IN ('new', 'moved', 'missing', 'drifted', 'gone', 'referrers')),
    CONSTRAINT ck_tag_sync_reason
        CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type',
            'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock',
            'abandoned', 'internal')),
    CONSTRAINT ck_tag_sync_status
        CHECK (status IN ('running', 'succeeded', 'failed', 'waiting', 'held', 'deleted',
            'abandoned')),
    CONSTRAINT fk_tag_sync_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id),
    CONSTRAINT fk_tag_sync_run_id_run_started_at_sync_run
        FOREIGN KEY (run_id, run_started_at) REFERENCES sync_run (id, started_at)
) PARTITION BY RANGE (run_started_at);
CREATE INDEX ix_tag_sync_ended_at ON tag_sync (ended_at);
CREATE INDEX ix_tag_sync_mirror_id_tag_ended_at ON tag_sync (mirror_id, tag, ended_at);
CREATE INDEX ix_tag_sync_dropped ON tag_sync (mirror_id) WHERE dropped IS NOT NULL;
COMMENT ON COLUMN tag_sync.target_tag IS 'Differs from tag only by rename.';
COMMENT ON COLUMN tag_sync.kind IS 'NULL: the source did not return its digest.';
COMMENT ON COLUMN tag_sync.previous_digest IS 'Of the target, before.';
COMMENT ON COLUMN tag_sync.available_at IS 'Verified at the target.';
COMMENT ON COLUMN tag_sync.delay_seconds IS
    'available_at minus the latest of push (else detection) and the mirror''s followed_since; only for new and moved tags that arrived.';
COMMENT ON COLUMN tag_sync.delay_from IS
    'What the delay counts from: pushed (reported by the source), detected (not reported), followed (pushed before the mirror followed this tag).';
COMMENT ON COLUMN tag_sync.attempts IS 'Tries at this digest so far, earlier runs included.';
COMMENT ON COLUMN tag_sync.dropped IS
    'Parts left out at the target: digest, media_type, reason, platform.';

CREATE TABLE watch_run (
    started_at timestamptz NOT NULL,
    id uuid NOT NULL,
    ended_at timestamptz NOT NULL,
    looked text[] NOT NULL,
    moved text[] NOT NULL,
    failed text[] NOT NULL,
    messages text[] NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    CONSTRAINT pk_watch_run PRIMARY KEY (started_at, id)
) PARTITION BY RANGE (started_at);
COMMENT ON COLUMN watch_run.looked IS 'Mirrors whose source was read.';
COMMENT ON COLUMN watch_run.moved IS 'Mirrors whose sync was started.';
COMMENT ON COLUMN watch_run.failed IS 'Mirrors whose source could not be read.';
COMMENT ON COLUMN watch_run.messages IS 'Why, in the order of failed.';
COMMENT ON COLUMN watch_run.requests IS 'HTTP requests to the sources.';


-- Measurements: pulls, pull counts, quotas, audits.

CREATE TABLE probe (
    mirror_id integer NOT NULL,
    probed_at timestamptz NOT NULL,
    tag text NOT NULL,
    side text NOT NULL,
    place text DEFAULT '' NOT NULL,
    digest text,
    first_byte_seconds double precision,
    seconds double precision,
    bytes bigint DEFAULT '0' NOT NULL,
    well boolean NOT NULL,
    reason text,
    message text,
    CONSTRAINT pk_probe PRIMARY KEY (mirror_id, probed_at, tag, side, place),
    CONSTRAINT ck_probe_reason
        CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type',
            'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock',
            'abandoned', 'internal')),
    CONSTRAINT ck_probe_side CHECK (side IN ('source', 'target')),
    CONSTRAINT fk_probe_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
) PARTITION BY RANGE (probed_at);
CREATE INDEX ix_probe_probed_at ON probe (probed_at);
COMMENT ON COLUMN probe.probed_at IS 'Start of the round.';
COMMENT ON COLUMN probe.place IS 'Where the pull ran, such as cn-hangzhou.';
COMMENT ON COLUMN probe.digest IS 'Of the manifest or index pulled.';
COMMENT ON COLUMN probe.seconds IS 'Whole pull, from the first request.';
COMMENT ON COLUMN probe.well IS 'The pull succeeded.';

CREATE TABLE pull_count (
    repository_id integer NOT NULL,
    day date NOT NULL,
    pulls bigint NOT NULL,
    counted_at timestamptz NOT NULL,
    CONSTRAINT pk_pull_count PRIMARY KEY (repository_id, day),
    CONSTRAINT fk_pull_count_repository_id_repository
        FOREIGN KEY (repository_id) REFERENCES repository (id)
);
COMMENT ON COLUMN pull_count.pulls IS 'Since the repository exists.';
COMMENT ON COLUMN pull_count.counted_at IS 'The day''s last count.';

CREATE TABLE quota_reading (
    registry text NOT NULL,
    account text NOT NULL,
    read_at timestamptz NOT NULL,
    quota integer NOT NULL,
    remaining integer NOT NULL,
    window_seconds integer NOT NULL,
    CONSTRAINT pk_quota_reading PRIMARY KEY (registry, account, read_at)
) PARTITION BY RANGE (read_at);
COMMENT ON COLUMN quota_reading.account IS 'Empty: anonymous.';
COMMENT ON COLUMN quota_reading.quota IS 'Pulls allowed in the window.';

CREATE TABLE audit_run (
    id uuid NOT NULL,
    mirror_id integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    deep boolean NOT NULL,
    tags integer DEFAULT 0 NOT NULL,
    blobs_checked integer DEFAULT 0 NOT NULL,
    blobs_hashed integer DEFAULT 0 NOT NULL,
    bytes_hashed bigint DEFAULT '0' NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    reason text,
    message text,
    CONSTRAINT pk_audit_run PRIMARY KEY (id),
    CONSTRAINT ck_audit_run_reason
        CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type',
            'digest_mismatch', 'network', 'server_error', 'timeout', 'storage', 'lock',
            'abandoned', 'internal')),
    CONSTRAINT fk_audit_run_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_audit_run_mirror_id_started_at ON audit_run (mirror_id, started_at);
COMMENT ON COLUMN audit_run.deep IS 'Every blob was fetched and hashed.';
COMMENT ON COLUMN audit_run.tags IS 'Compared.';
COMMENT ON COLUMN audit_run.blobs_checked IS 'Seen by HEAD, size compared.';
COMMENT ON COLUMN audit_run.blobs_hashed IS 'Fetched and hashed.';
COMMENT ON COLUMN audit_run.reason IS 'Why it could not be finished.';

CREATE TABLE audit_finding (
    id bigint GENERATED ALWAYS AS IDENTITY,
    audit_id uuid NOT NULL,
    tag text NOT NULL,
    kind text NOT NULL,
    digest text,
    message text NOT NULL,
    repaired_at timestamptz,
    CONSTRAINT pk_audit_finding PRIMARY KEY (id),
    CONSTRAINT ck_audit_finding_kind
        CHECK (kind IN ('behind', 'missing_tag', 'wrong_digest', 'missing_manifest',
            'missing_blob', 'wrong_size', 'wrong_content', 'extra_tag', 'unreadable')),
    CONSTRAINT fk_audit_finding_audit_id_audit_run
        FOREIGN KEY (audit_id) REFERENCES audit_run (id) ON DELETE CASCADE
);
CREATE INDEX ix_audit_finding_audit_id ON audit_finding (audit_id);
CREATE INDEX ix_audit_finding_open ON audit_finding (tag) WHERE repaired_at IS NULL;
COMMENT ON COLUMN audit_finding.digest IS 'Of what is missing or wrong.';
COMMENT ON COLUMN audit_finding.repaired_at IS
    'When a later sync verified the tag again; for wrong_content, when a later audit hashed the blob and it was right.';


-- Alerts and the delivery of their messages.

CREATE TABLE alert (
    id bigint GENERATED ALWAYS AS IDENTITY,
    rule text NOT NULL,
    severity text NOT NULL,
    mirror_id integer,
    subject text DEFAULT '' NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    closed_at timestamptz,
    repeats integer DEFAULT 0 NOT NULL,
    details jsonb DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_alert PRIMARY KEY (id),
    CONSTRAINT ck_alert_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT fk_alert_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_alert_mirror_id_opened_at ON alert (mirror_id, opened_at);
CREATE INDEX ix_alert_opened_at ON alert (opened_at);
CREATE UNIQUE INDEX uq_alert_open ON alert (rule, coalesce(mirror_id, 0), subject)
    WHERE closed_at IS NULL;
COMMENT ON COLUMN alert.rule IS 'Such as tag_failed or delay_goal.';
COMMENT ON COLUMN alert.subject IS 'What it is about within rule and mirror: a tag, a registry.';
COMMENT ON COLUMN alert.seen_at IS 'When it last still held.';
COMMENT ON COLUMN alert.repeats IS 'Reminders sent.';
COMMENT ON COLUMN alert.details IS 'What the message says: tags, reason, numbers, links.';

CREATE TABLE alert_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY,
    alert_id bigint NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    sent_at timestamptz,
    gave_up_at timestamptz,
    error text,
    CONSTRAINT pk_alert_delivery PRIMARY KEY (id),
    CONSTRAINT ck_alert_delivery_kind CHECK (kind IN ('opened', 'repeated', 'closed')),
    CONSTRAINT fk_alert_delivery_alert_id_alert
        FOREIGN KEY (alert_id) REFERENCES alert (id) ON DELETE CASCADE
);
CREATE INDEX ix_alert_delivery_alert_id ON alert_delivery (alert_id);
CREATE INDEX ix_alert_delivery_due ON alert_delivery (due_at) WHERE sent_at IS NULL;
COMMENT ON COLUMN alert_delivery.due_at IS 'Not before: quiet hours, pace of retries.';
COMMENT ON COLUMN alert_delivery.error IS 'Of the last attempt; never a secret.';


-- Daily figures of closed days, and the past of tags.

CREATE TABLE closed (
    id integer NOT NULL,
    until timestamptz NOT NULL,
    CONSTRAINT pk_closed PRIMARY KEY (id),
    CONSTRAINT ck_closed_one_row CHECK (id = 1)
);

CREATE TABLE daily_run (
    mirror_id integer NOT NULL,
    day date NOT NULL,
    succeeded bigint NOT NULL,
    partial bigint NOT NULL,
    failed bigint NOT NULL,
    abandoned bigint NOT NULL,
    bytes_copied bigint NOT NULL,
    requests_source bigint NOT NULL,
    requests_target bigint NOT NULL,
    blobs_copied bigint NOT NULL,
    blobs_mounted bigint NOT NULL,
    blobs_reused bigint NOT NULL,
    seconds double precision NOT NULL,
    CONSTRAINT pk_daily_run PRIMARY KEY (mirror_id, day),
    CONSTRAINT fk_daily_run_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_daily_run_day ON daily_run (day);

CREATE TABLE daily_tag (
    mirror_id integer NOT NULL,
    day date NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    abandoned bigint NOT NULL,
    retried bigint NOT NULL,
    delays bigint NOT NULL,
    delays_in_goal bigint NOT NULL,
    delays_detected bigint NOT NULL,
    delays_followed bigint NOT NULL,
    delay_p50 double precision,
    delay_p95 double precision,
    delay_p99 double precision,
    delay_max double precision,
    CONSTRAINT pk_daily_tag PRIMARY KEY (mirror_id, day),
    CONSTRAINT fk_daily_tag_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_daily_tag_day ON daily_tag (day);
COMMENT ON COLUMN daily_tag.retried IS 'Succeeded with attempts > 1.';
COMMENT ON COLUMN daily_tag.delays_in_goal IS 'By the goal of that day.';
COMMENT ON COLUMN daily_tag.delays_detected IS 'Counted from detection.';
COMMENT ON COLUMN daily_tag.delays_followed IS 'Counted from followed_since.';

CREATE TABLE daily_delay (
    mirror_id integer NOT NULL,
    day date NOT NULL,
    bucket integer NOT NULL,
    tags bigint NOT NULL,
    CONSTRAINT pk_daily_delay PRIMARY KEY (mirror_id, day, bucket),
    CONSTRAINT fk_daily_delay_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_daily_delay_day ON daily_delay (day);
COMMENT ON COLUMN daily_delay.bucket IS 'Up to 1.05^bucket seconds.';

CREATE TABLE monthly_delay (
    mirror_id integer NOT NULL,
    month date NOT NULL,
    bucket integer NOT NULL,
    tags bigint NOT NULL,
    CONSTRAINT pk_monthly_delay PRIMARY KEY (mirror_id, month, bucket),
    CONSTRAINT fk_monthly_delay_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_monthly_delay_month ON monthly_delay (month);
COMMENT ON COLUMN monthly_delay.month IS 'Its first day.';

CREATE TABLE daily_failure (
    mirror_id integer NOT NULL,
    day date NOT NULL,
    scope text NOT NULL,
    tag text NOT NULL,
    reason text NOT NULL,
    failures bigint NOT NULL,
    last_at timestamptz NOT NULL,
    last_run uuid NOT NULL,
    last_message text,
    CONSTRAINT pk_daily_failure PRIMARY KEY (mirror_id, day, scope, tag, reason),
    CONSTRAINT fk_daily_failure_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_daily_failure_day ON daily_failure (day);
COMMENT ON COLUMN daily_failure.scope IS 'tag or run.';
COMMENT ON COLUMN daily_failure.tag IS 'Empty for runs.';

CREATE TABLE daily_probe (
    mirror_id integer NOT NULL,
    day date NOT NULL,
    place text NOT NULL,
    source_pulls bigint NOT NULL,
    source_failed bigint NOT NULL,
    target_pulls bigint NOT NULL,
    target_failed bigint NOT NULL,
    pairs bigint NOT NULL,
    source_bytes bigint NOT NULL,
    source_seconds double precision NOT NULL,
    target_bytes bigint NOT NULL,
    target_seconds double precision NOT NULL,
    gain_p50 double precision,
    CONSTRAINT pk_daily_probe PRIMARY KEY (mirror_id, day, place),
    CONSTRAINT fk_daily_probe_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_daily_probe_day ON daily_probe (day);

CREATE TABLE daily_quota (
    registry text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    readings bigint NOT NULL,
    quota integer NOT NULL,
    least_remaining integer NOT NULL,
    CONSTRAINT pk_daily_quota PRIMARY KEY (registry, account, day)
);
CREATE INDEX ix_daily_quota_day ON daily_quota (day);

CREATE TABLE daily_watch (
    day date NOT NULL,
    looks bigint NOT NULL,
    looks_failed bigint NOT NULL,
    moved bigint NOT NULL,
    requests bigint NOT NULL,
    seconds double precision NOT NULL,
    CONSTRAINT pk_daily_watch PRIMARY KEY (day)
);

CREATE TABLE tag_past (
    mirror_id integer NOT NULL,
    tag text NOT NULL,
    available_at timestamptz NOT NULL,
    source_digest text NOT NULL,
    target_digest text,
    pushed_at timestamptz,
    detected_at timestamptz,
    delay_seconds double precision,
    delay_from text,
    run_id uuid NOT NULL,
    CONSTRAINT pk_tag_past PRIMARY KEY (mirror_id, tag, available_at),
    CONSTRAINT fk_tag_past_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);

INSERT INTO closed VALUES (1, '-infinity');
