SELECT pg_advisory_xact_lock(hashtextextended('hagicode-mirror maintain', 0));

CREATE OR REPLACE FUNCTION roll_up(first timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day date := (first AT TIME ZONE 'UTC')::date;
    first_month date := month_of(first);
BEGIN
    DELETE FROM daily_run WHERE day >= first_day;
    INSERT INTO daily_run SELECT * FROM run_figures(first, until);
    DELETE FROM daily_tag WHERE day >= first_day;
    INSERT INTO daily_tag SELECT * FROM tag_figures(first, until);
    DELETE FROM daily_delay WHERE day >= first_day;
    -- By day, as they are read.
    INSERT INTO daily_delay SELECT * FROM delay_figures(first, until) ORDER BY day, mirror_id;
    DELETE FROM daily_failure WHERE day >= first_day;
    INSERT INTO daily_failure SELECT * FROM failure_figures(first, until) ORDER BY day, mirror_id;
    DELETE FROM daily_probe WHERE day >= first_day;
    INSERT INTO daily_probe SELECT * FROM probe_figures(first, until);
    DELETE FROM daily_quota WHERE day >= first_day;
    INSERT INTO daily_quota SELECT * FROM quota_figures(first, until);
    DELETE FROM daily_watch WHERE day >= first_day;
    INSERT INTO daily_watch SELECT * FROM watch_figures(first, until);
    DELETE FROM monthly_delay WHERE month >= first_month;
    INSERT INTO monthly_delay
        SELECT mirror_id, date_trunc('month', day)::date, bucket, sum(tags)
        FROM daily_delay WHERE day >= first_month AND day < month_of(until)
        GROUP BY 1, 2, 3;
    UPDATE closed SET until = roll_up.until;
END
$$;

DROP FUNCTION run_sums_since, tag_sums_since, run_months, tag_months;
DROP TABLE monthly_run, monthly_tag;

DELETE FROM supported_program WHERE revision = '0012_totals';
