-- Which share of the pulls goes to each mirror?
SELECT mirror,
       date_trunc('month', day)::date AS month,
       sum(target_pulls) AS mirror_pulls,
       sum(source_pulls) AS source_pulls,
       round(100.0 * sum(target_pulls) / nullif(sum(target_pulls + source_pulls), 0), 1)
           AS mirror_percent
FROM report_adoption
WHERE share IS NOT NULL
GROUP BY mirror, month
ORDER BY mirror, month DESC;
