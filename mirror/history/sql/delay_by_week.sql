-- Is the delay goal kept, and does it get better or worse by the week?
SELECT mirror,
       date_trunc('week', day)::date AS week,
       sum(tags) AS tags,
       round((100 * sum(in_goal_share * tags) / sum(tags))::numeric, 2) AS in_goal_percent,
       round((max(p95_seconds) / 60)::numeric, 1) AS worst_day_p95_minutes,
       round((max(max_seconds) / 60)::numeric, 1) AS longest_minutes
FROM report_delay
WHERE day > current_date - 90
GROUP BY mirror, week
ORDER BY mirror, week DESC;
