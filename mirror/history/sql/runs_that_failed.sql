-- Which runs of the last 7 days did not end well, and why?
SELECT mirror.name AS mirror,
       run.started_at,
       run.status,
       run.trigger,
       run.tags_failed,
       run.reason,
       run.message,
       run.flow_run_id
FROM sync_run run
JOIN mirror ON mirror.id = run.mirror_id
WHERE run.started_at > now() - interval '7 days'
  AND run.status IN ('partial', 'failed', 'abandoned')
  AND NOT run.dry_run
ORDER BY run.started_at DESC
LIMIT 200;
