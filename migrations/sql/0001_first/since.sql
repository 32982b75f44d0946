-- Figures by mirror and day from any moment on: the rest of its day from the raw tables, whole
-- days from the daily tables, and what came after those from the raw tables again.

CREATE FUNCTION runs_since(since timestamptz) RETURNS SETOF daily_run LANGUAGE sql STABLE AS $$
    SELECT * FROM run_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_run WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM run_figures(greatest(since, closed_until()), 'infinity')
$$;

CREATE FUNCTION tags_since(since timestamptz) RETURNS SETOF daily_tag LANGUAGE sql STABLE AS $$
    SELECT * FROM tag_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_tag WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM tag_figures(greatest(since, closed_until()), 'infinity')
$$;

-- Delays by size are many rows a day, so whole months come from a separate table. `day` is then
-- the first of the month.
CREATE FUNCTION delays_since(since timestamptz) RETURNS SETOF daily_delay LANGUAGE sql STABLE AS $$
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

CREATE FUNCTION failures_since(since timestamptz) RETURNS SETOF daily_failure
LANGUAGE sql STABLE AS $$
    SELECT * FROM failure_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_failure WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM failure_figures(greatest(since, closed_until()), 'infinity')
$$;

CREATE FUNCTION probes_since(since timestamptz) RETURNS SETOF daily_probe LANGUAGE sql STABLE AS $$
    SELECT * FROM probe_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_probe WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM probe_figures(greatest(since, closed_until()), 'infinity')
$$;

CREATE FUNCTION quotas_since(since timestamptz) RETURNS SETOF daily_quota LANGUAGE sql STABLE AS $$
    SELECT * FROM quota_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_quota WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM quota_figures(greatest(since, closed_until()), 'infinity')
$$;

CREATE FUNCTION looks_since(since timestamptz) RETURNS SETOF daily_watch LANGUAGE sql STABLE AS $$
    SELECT * FROM watch_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_watch WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT * FROM watch_figures(greatest(since, closed_until()), 'infinity')
$$;
