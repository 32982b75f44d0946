-- What fails most, where, and what did it say last (30 days)?
SELECT mirror,
       scope,
       reason,
       sum(failures) AS failures,
       count(DISTINCT tag) AS tags,
       max(last_at) AS last_at,
       (array_agg(last_message ORDER BY last_at DESC))[1] AS last_message
FROM report_failures
WHERE day > current_date - 30
GROUP BY mirror, scope, reason
ORDER BY failures DESC
LIMIT 50;
