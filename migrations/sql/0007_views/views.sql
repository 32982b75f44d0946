-- Views for what could only be answered from the tables: which tags are behind, open alerts, audit
-- findings, how many versions are missing, who holds a lock. And more than a day of runs.

CREATE OR REPLACE VIEW report_tags_behind AS
SELECT
    mirror.name AS mirror,
    state.tag,
    CASE WHEN state.held THEN 'held'
         WHEN state.attempts > 0 THEN 'failing'
         ELSE 'behind' END AS state,
    greatest(coalesce(state.pushed_at, state.detected_at), mirror.followed_since) AS waiting_since,
    CASE WHEN NOT state.held AND state.copied_digest IS DISTINCT FROM state.source_digest
         THEN extract(epoch FROM now() - greatest(coalesce(state.pushed_at, state.detected_at),
                                                  mirror.followed_since))::double precision
    END AS lag_seconds,
    extract(epoch FROM mirror.delay_goal)::double precision AS goal_seconds,
    state.source_digest,
    state.target_digest,
    state.pushed_at,
    state.detected_at,
    state.attempts,
    state.failed_since,
    state.next_attempt_at,
    state.reason,
    state.message
FROM tag_state state
JOIN mirror ON mirror.id = state.mirror_id
WHERE state.gone_at IS NULL
  AND (state.copied_digest IS DISTINCT FROM state.source_digest OR state.attempts > 0 OR state.held);

COMMENT ON VIEW report_tags_behind IS
    'Tags that are not as they should be: not arrived, failing, or held. What is in sync is not listed.';
COMMENT ON COLUMN report_tags_behind.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_tags_behind.tag IS 'The tag.';
COMMENT ON COLUMN report_tags_behind.state IS 'behind: its present digest has not arrived; failing: its last try failed; held: immutable and moved at the source.';
COMMENT ON COLUMN report_tags_behind.waiting_since IS 'Since when it could have been copied, counted as delays are.';
COMMENT ON COLUMN report_tags_behind.lag_seconds IS 'How long it has been waiting; NULL for held tags and for those that are in sync but for a signature.';
COMMENT ON COLUMN report_tags_behind.goal_seconds IS 'The delay goal of the mirror.';
COMMENT ON COLUMN report_tags_behind.source_digest IS 'What the source points at.';
COMMENT ON COLUMN report_tags_behind.target_digest IS 'What the target was left at; NULL for none.';
COMMENT ON COLUMN report_tags_behind.pushed_at IS 'When the source says that it was pushed.';
COMMENT ON COLUMN report_tags_behind.detected_at IS 'When that digest was first seen.';
COMMENT ON COLUMN report_tags_behind.attempts IS 'Failed attempts at that digest.';
COMMENT ON COLUMN report_tags_behind.failed_since IS 'The first of the failures that have lasted until now.';
COMMENT ON COLUMN report_tags_behind.next_attempt_at IS 'It is not tried again before.';
COMMENT ON COLUMN report_tags_behind.reason IS 'Of the last failure, from the closed list.';
COMMENT ON COLUMN report_tags_behind.message IS 'The reason in words.';


CREATE OR REPLACE VIEW report_versions_behind AS
SELECT
    mirror.name AS mirror,
    count(DISTINCT state.source_digest) FILTER (
        WHERE state.copied_digest IS DISTINCT FROM state.source_digest
          AND coalesce(state.pushed_at, state.detected_at) > coalesce(here.at, '-infinity')
    ) AS versions_behind,
    count(DISTINCT state.source_digest) FILTER (
        WHERE state.copied_digest IS DISTINCT FROM state.source_digest) AS versions_missing,
    (array_agg(state.tag ORDER BY coalesce(state.pushed_at, state.detected_at) DESC, state.tag))[1]
        AS newest_at_source,
    max(coalesce(state.pushed_at, state.detected_at)) AS newest_at_source_at,
    here.tag AS newest_here,
    here.at AS newest_here_at
FROM mirror
JOIN tag_state state ON state.mirror_id = mirror.id AND state.gone_at IS NULL
LEFT JOIN LATERAL (
    SELECT tag, coalesce(pushed_at, detected_at) AS at FROM tag_state
    WHERE mirror_id = mirror.id AND gone_at IS NULL AND copied_digest = source_digest
    ORDER BY coalesce(pushed_at, detected_at) DESC, tag LIMIT 1
) here ON true
GROUP BY mirror.name, here.tag, here.at;

COMMENT ON VIEW report_versions_behind IS
    'How many versions each mirror is behind its source: a version is a digest, however many tags point at it.';
COMMENT ON COLUMN report_versions_behind.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_versions_behind.versions_behind IS 'Versions at the source that are newer than the newest one at the target.';
COMMENT ON COLUMN report_versions_behind.versions_missing IS 'All versions at the source that have not arrived, older ones too.';
COMMENT ON COLUMN report_versions_behind.newest_at_source IS 'The tag that was pushed last at the source.';
COMMENT ON COLUMN report_versions_behind.newest_at_source_at IS 'When it was pushed, or first seen where the source reports no push.';
COMMENT ON COLUMN report_versions_behind.newest_here IS 'The tag in sync that was pushed last; NULL for none.';
COMMENT ON COLUMN report_versions_behind.newest_here_at IS 'When it was pushed, or first seen.';


CREATE OR REPLACE VIEW report_alerts AS
SELECT
    mirror.name AS mirror,
    alert.rule,
    alert.severity,
    nullif(alert.subject, '') AS subject,
    alert.opened_at,
    alert.seen_at,
    alert.closed_at,
    extract(epoch FROM coalesce(alert.closed_at, now()) - alert.opened_at)::double precision
        AS open_seconds,
    alert.repeats,
    delivery.sent,
    delivery.unsent,
    delivery.last_error,
    alert.details
FROM alert
LEFT JOIN mirror ON mirror.id = alert.mirror_id
LEFT JOIN LATERAL (
    SELECT count(sent_at) AS sent, count(*) FILTER (WHERE sent_at IS NULL) AS unsent,
           (array_agg(error ORDER BY id DESC) FILTER (WHERE error IS NOT NULL))[1] AS last_error
    FROM alert_delivery WHERE alert_id = alert.id
) delivery ON true;

COMMENT ON VIEW report_alerts IS
    'Alerts, open and closed. Open ones: WHERE closed_at IS NULL.';
COMMENT ON COLUMN report_alerts.mirror IS 'Name of the mirror; NULL for alerts about none.';
COMMENT ON COLUMN report_alerts.rule IS 'Such as tag_failed or delay_goal.';
COMMENT ON COLUMN report_alerts.severity IS 'info, warning or critical.';
COMMENT ON COLUMN report_alerts.subject IS 'What it is about within rule and mirror: a tag, a registry.';
COMMENT ON COLUMN report_alerts.opened_at IS 'When it was first found.';
COMMENT ON COLUMN report_alerts.seen_at IS 'When it last still held.';
COMMENT ON COLUMN report_alerts.closed_at IS 'When it ended; NULL for open ones.';
COMMENT ON COLUMN report_alerts.open_seconds IS 'How long it has been or was open.';
COMMENT ON COLUMN report_alerts.repeats IS 'Reminders sent.';
COMMENT ON COLUMN report_alerts.sent IS 'Messages that were delivered, over all channels.';
COMMENT ON COLUMN report_alerts.unsent IS 'Messages that wait or were given up.';
COMMENT ON COLUMN report_alerts.last_error IS 'Why the last message that failed was not delivered.';
COMMENT ON COLUMN report_alerts.details IS 'What the message says: tags, reason, numbers, links.';


CREATE OR REPLACE VIEW report_audit_findings AS
SELECT
    mirror.name AS mirror,
    finding.tag,
    finding.kind,
    finding.digest,
    finding.message,
    audit.ended_at AS found_at,
    finding.repaired_at,
    audit.deep,
    audit.id AS audit
FROM audit_finding finding
JOIN audit_run audit ON audit.id = finding.audit_id
JOIN mirror ON mirror.id = audit.mirror_id;

COMMENT ON VIEW report_audit_findings IS
    'What audits found to differ at the targets. Open ones: WHERE repaired_at IS NULL.';
COMMENT ON COLUMN report_audit_findings.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_audit_findings.tag IS 'The tag.';
COMMENT ON COLUMN report_audit_findings.kind IS 'behind, missing_tag, wrong_digest, missing_manifest, missing_blob, wrong_size, wrong_content, extra_tag or unreadable.';
COMMENT ON COLUMN report_audit_findings.digest IS 'Of what is missing or wrong.';
COMMENT ON COLUMN report_audit_findings.message IS 'The finding in words.';
COMMENT ON COLUMN report_audit_findings.found_at IS 'When the audit ended.';
COMMENT ON COLUMN report_audit_findings.repaired_at IS 'When a later sync or audit found it right again; NULL for open ones.';
COMMENT ON COLUMN report_audit_findings.deep IS 'The audit fetched and hashed every blob.';
COMMENT ON COLUMN report_audit_findings.audit IS 'Id of the audit; audit_run.id.';


CREATE OR REPLACE VIEW report_locks AS
SELECT
    mirror.name AS mirror,
    holder.target,
    holder.host,
    holder.pid,
    holder.run_id AS run,
    holder.flow_run_id,
    holder.acquired_at,
    holder.beat_at,
    extract(epoch FROM clock_timestamp() - holder.beat_at)::double precision AS silent_seconds
FROM target_lock holder
LEFT JOIN repository ON registry || '/' || repository.name = holder.target
LEFT JOIN mirror ON mirror.target_id = repository.id
WHERE EXISTS (
    SELECT FROM pg_locks
    WHERE pg_locks.pid = holder.backend_pid AND locktype = 'advisory' AND granted);

COMMENT ON VIEW report_locks IS
    'Who is syncing which target at this moment.';
COMMENT ON COLUMN report_locks.mirror IS 'Name of the mirror; NULL if none has that target any more.';
COMMENT ON COLUMN report_locks.target IS 'Host[:port]/path of the target repository.';
COMMENT ON COLUMN report_locks.host IS 'Machine or container that holds it.';
COMMENT ON COLUMN report_locks.pid IS 'Process on that machine.';
COMMENT ON COLUMN report_locks.run IS 'Id of the run; NULL until it has begun.';
COMMENT ON COLUMN report_locks.flow_run_id IS 'Id of the flow run in Prefect.';
COMMENT ON COLUMN report_locks.acquired_at IS 'When it took the lock.';
COMMENT ON COLUMN report_locks.beat_at IS 'Its last heartbeat.';
COMMENT ON COLUMN report_locks.silent_seconds IS 'Since then. After 35 the next run takes the lock over.';


CREATE OR REPLACE VIEW report_recent_runs AS
SELECT
    mirror.name AS mirror,
    run.id AS run,
    run.started_at,
    run.ended_at,
    run.status,
    run.trigger,
    run.complete,
    run.dry_run,
    run.tags_discovered,
    run.tags_changed,
    run.tags_copied,
    run.tags_failed,
    run.bytes_copied,
    run.requests_source,
    run.requests_target,
    run.seconds_total,
    run.reason,
    run.message,
    run.flow_run_id
FROM mirror
CROSS JOIN LATERAL (
    SELECT * FROM sync_run
    WHERE mirror_id = mirror.id
      AND started_at >= least(now() - interval '30 days', (
          SELECT min(started_at) FROM (
              SELECT started_at FROM sync_run WHERE mirror_id = mirror.id
              ORDER BY started_at DESC LIMIT 50) last_runs))
    ORDER BY started_at DESC
) run;

COMMENT ON VIEW report_recent_runs IS
    'The runs of the last 30 days of each mirror, and its last 50 if that is more.';
