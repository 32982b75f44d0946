-- Removes everything again. The role stays: other databases of the server may use it.

DROP VIEW
    report_success_rate, report_delay, report_failures, report_freshness, report_recent_runs,
    report_tag_history, report_quota, report_traffic, report_pull_speed, report_pull_failures,
    report_adoption;
DROP FUNCTION
    runs_since, tags_since, delays_since, failures_since, probes_since, quotas_since, looks_since,
    roll_up, run_figures, tag_figures, delay_figures, failure_figures, probe_figures,
    quota_figures, watch_figures, day_after, month_of, closed_until;
DROP FUNCTION drop_partitions, make_partitions, partitioned_tables;
DROP TABLE
    tag_past, daily_watch, daily_quota, daily_probe, daily_failure, monthly_delay, daily_delay,
    daily_tag, daily_run, closed, alert_delivery, alert, audit_finding, audit_run, quota_reading,
    pull_count, probe, watch_run, tag_sync, sync_run, credential_end, registry_ability,
    blob_presence, tag_state, mirror, repository;
