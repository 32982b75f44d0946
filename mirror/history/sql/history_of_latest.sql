-- Which digests has `latest` had on each mirror, from when to when, and how long did each lag?
SELECT mirror,
       available_at,
       replaced_at,
       source_digest,
       round((delay_seconds / 60)::numeric, 1) AS delay_minutes,
       delay_from
FROM report_tag_history
WHERE tag = 'latest'
  AND available_at > now() - interval '30 days'
ORDER BY mirror, available_at DESC
LIMIT 200;
