-- How much faster is a pull from each mirror, and how often does one fail?
SELECT mirror,
       place,
       date_trunc('week', day)::date AS week,
       sum(pairs) AS pairs,
       round((avg(target_bytes_per_second) / 1e6)::numeric, 1) AS mirror_megabytes_per_second,
       round((avg(source_bytes_per_second) / 1e6)::numeric, 1) AS source_megabytes_per_second,
       round((100 * sum(failed) / nullif(sum(pulls), 0))::numeric, 2) AS failed_percent
FROM report_pull_failures
LEFT JOIN report_pull_speed USING (mirror, place, day)
WHERE day > current_date - 90
GROUP BY mirror, place, week
ORDER BY mirror, place, week DESC;
