-- How close did we come to the pull quotas in the last 30 days?
SELECT registry,
       coalesce(account, 'anonymous') AS account,
       day,
       least_remaining,
       quota,
       round((100 * least_share)::numeric, 1) AS least_percent
FROM report_quota
WHERE day > current_date - 30
ORDER BY least_share, day DESC
LIMIT 100;
