-- Which tags of the last 3 days took longest to arrive, and what did that time go into?
SELECT mirror.name AS mirror,
       record.tag,
       record.available_at,
       round((record.delay_seconds / 60)::numeric, 1) AS delay_minutes,
       record.delay_from,
       round((extract(epoch FROM record.detected_at - record.pushed_at) / 60)::numeric, 1)
           AS undetected_minutes,
       round(extract(epoch FROM record.ended_at - record.started_at)::numeric, 1)
           AS copying_seconds,
       record.attempts
FROM tag_sync record
JOIN mirror ON mirror.id = record.mirror_id
WHERE record.ended_at > now() - interval '3 days'
  AND record.run_started_at > now() - interval '10 days'
  AND record.delay_seconds IS NOT NULL
ORDER BY record.delay_seconds DESC
LIMIT 20;
