-- How reliable was each mirror in the last 30 days?
SELECT mirror,
       sum(runs) AS runs,
       round(100.0 * sum(runs_succeeded) / nullif(sum(runs), 0), 2) AS runs_well_percent,
       sum(tags) AS tags,
       round(100.0 * sum(tags_succeeded) / nullif(sum(tags), 0), 2) AS tags_well_percent,
       sum(tags_retried) AS tags_that_took_retries
FROM report_success_rate
WHERE day > current_date - 30
GROUP BY mirror
ORDER BY mirror;
