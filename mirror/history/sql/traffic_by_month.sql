-- What do the mirrors cost: bytes, requests, and how much was spared by mounting and reuse?
SELECT mirror,
       date_trunc('month', day)::date AS month,
       round(sum(bytes_copied) / 1e9, 2) AS gigabytes,
       sum(requests_source) AS requests_source,
       sum(requests_target) AS requests_target,
       sum(blobs_copied) AS blobs_copied,
       sum(blobs_mounted) + sum(blobs_reused) AS blobs_spared,
       round((sum(seconds) / 3600)::numeric, 1) AS hours
FROM report_traffic
WHERE day > current_date - 400
GROUP BY mirror, month
ORDER BY mirror, month DESC;
