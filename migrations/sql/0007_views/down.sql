DROP VIEW report_tags_behind, report_versions_behind, report_alerts,
    report_audit_findings, report_locks;

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
    SELECT * FROM sync_run WHERE mirror_id = mirror.id ORDER BY started_at DESC LIMIT 50
) run;

COMMENT ON VIEW report_recent_runs IS 'The last 50 runs of each mirror.';
