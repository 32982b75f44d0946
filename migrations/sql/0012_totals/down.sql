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

CREATE TABLE monthly_delay (
    mirror_id integer NOT NULL,
    month date NOT NULL,
    bucket integer NOT NULL,
    tags bigint NOT NULL,
    CONSTRAINT pk_monthly_delay PRIMARY KEY (mirror_id, month, bucket),
    CONSTRAINT fk_monthly_delay_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX ix_monthly_delay_month ON monthly_delay (month);
COMMENT ON COLUMN monthly_delay.month IS 'Its first day.';
INSERT INTO monthly_delay
    SELECT mirror_id, date_trunc('month', day)::date, bucket, sum(tags)
    FROM daily_delay WHERE day < month_of(closed_until())
    GROUP BY 1, 2, 3;

CREATE OR REPLACE FUNCTION delays_since(since timestamptz) RETURNS SETOF daily_delay
LANGUAGE sql STABLE AS $$
    SELECT * FROM delay_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_delay
    WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
      AND day < (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT * FROM monthly_delay
    WHERE month >= (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT * FROM daily_delay
    WHERE day >= greatest(month_of(closed_until()),
                          (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT * FROM delay_figures(greatest(since, closed_until()), 'infinity')
$$;

COMMENT ON FUNCTION delays_since(timestamptz) IS NULL;

DROP FUNCTION run_sums_since, tag_sums_since, run_months, tag_months;
DROP FUNCTION cumulate_delays, last_closed_month;
DROP TABLE monthly_run, monthly_tag, cumulative_delay;

DELETE FROM supported_program WHERE revision = '0012_totals';
