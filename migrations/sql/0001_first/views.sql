-- The report views. What each means is in its comments (\d+ in psql) and in docs/reports.md.
-- Days are UTC days. A rate is a share from 0 to 1, and NULL, not 1, where nothing was counted.

CREATE VIEW report_success_rate AS
SELECT
    mirror.name AS mirror,
    day,
    coalesce(run.succeeded + run.partial + run.failed + run.abandoned, 0) AS runs,
    coalesce(run.succeeded, 0) AS runs_succeeded,
    coalesce(run.partial, 0) AS runs_partial,
    coalesce(run.failed, 0) AS runs_failed,
    coalesce(run.abandoned, 0) AS runs_abandoned,
    run.succeeded::double precision
        / nullif(run.succeeded + run.partial + run.failed + run.abandoned, 0) AS run_success_rate,
    coalesce(tag.succeeded + tag.failed + tag.abandoned, 0) AS tags,
    coalesce(tag.succeeded, 0) AS tags_succeeded,
    coalesce(tag.failed, 0) AS tags_failed,
    coalesce(tag.abandoned, 0) AS tags_abandoned,
    coalesce(tag.retried, 0) AS tags_retried,
    tag.succeeded::double precision
        / nullif(tag.succeeded + tag.failed + tag.abandoned, 0) AS tag_success_rate
FROM runs_since('-infinity') run
FULL JOIN tags_since('-infinity') tag USING (mirror_id, day)
JOIN mirror ON mirror.id = mirror_id;

COMMENT ON VIEW report_success_rate IS
    'Success of runs and tag records by mirror and day on which they ended. Goal: 0.99 or more.';
COMMENT ON COLUMN report_success_rate.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_success_rate.day IS 'UTC day on which they ended.';
COMMENT ON COLUMN report_success_rate.runs IS 'Runs that count: ended, not dry, and not ended because another run held the target.';
COMMENT ON COLUMN report_success_rate.runs_succeeded IS 'Runs in which every tag succeeded.';
COMMENT ON COLUMN report_success_rate.runs_partial IS 'Runs in which some tags failed: not a success.';
COMMENT ON COLUMN report_success_rate.runs_failed IS 'Runs that failed as a whole.';
COMMENT ON COLUMN report_success_rate.runs_abandoned IS 'Runs that were killed: a failure, on the day on which the next run found them.';
COMMENT ON COLUMN report_success_rate.run_success_rate IS 'runs_succeeded / runs; NULL without runs.';
COMMENT ON COLUMN report_success_rate.tags IS 'Tag records that succeeded, failed or were abandoned; waiting, held and deleted ones do not count.';
COMMENT ON COLUMN report_success_rate.tags_succeeded IS 'Tags that were copied and verified.';
COMMENT ON COLUMN report_success_rate.tags_failed IS 'Tries that failed; a later try that succeeds is another record.';
COMMENT ON COLUMN report_success_rate.tags_abandoned IS 'Tags whose run was killed under them.';
COMMENT ON COLUMN report_success_rate.tags_retried IS 'Of tags_succeeded, those that took more than one try.';
COMMENT ON COLUMN report_success_rate.tag_success_rate IS 'tags_succeeded / tags; NULL without tags.';


CREATE VIEW report_delay AS
SELECT
    mirror.name AS mirror,
    day,
    delays AS tags,
    delay_p50 AS p50_seconds,
    delay_p95 AS p95_seconds,
    delay_p99 AS p99_seconds,
    delay_max AS max_seconds,
    extract(epoch FROM mirror.delay_goal)::double precision AS goal_seconds,
    delays_in_goal::double precision / nullif(delays, 0) AS in_goal_share,
    delays - delays_detected - delays_followed AS from_pushed,
    delays_detected AS from_detected,
    delays_followed AS from_followed
FROM tags_since('-infinity')
JOIN mirror ON mirror.id = mirror_id
WHERE delays > 0;

COMMENT ON VIEW report_delay IS
    'Delay from push to verified at the target, of new and moved tags, by mirror and day of arrival. Goal: goal_seconds or less.';
COMMENT ON COLUMN report_delay.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_delay.day IS 'UTC day on which the tags arrived.';
COMMENT ON COLUMN report_delay.tags IS 'Tags that arrived: the samples behind the figures.';
COMMENT ON COLUMN report_delay.p50_seconds IS 'Median delay.';
COMMENT ON COLUMN report_delay.p95_seconds IS '95th percentile of the delay.';
COMMENT ON COLUMN report_delay.p99_seconds IS '99th percentile of the delay.';
COMMENT ON COLUMN report_delay.max_seconds IS 'Longest delay.';
COMMENT ON COLUMN report_delay.goal_seconds IS 'The delay goal of the mirror today.';
COMMENT ON COLUMN report_delay.in_goal_share IS 'Share of tags within the goal that held on that day.';
COMMENT ON COLUMN report_delay.from_pushed IS 'Tags whose delay counts from the push, where the source reports it.';
COMMENT ON COLUMN report_delay.from_detected IS 'Tags whose delay counts from detection, since the source reports no push.';
COMMENT ON COLUMN report_delay.from_followed IS 'Tags pushed before the mirror followed them: their delay counts from then.';


CREATE VIEW report_failures AS
SELECT
    mirror.name AS mirror,
    day,
    scope,
    nullif(tag, '') AS tag,
    reason,
    failures,
    last_at,
    last_run,
    last_message
FROM failures_since('-infinity')
JOIN mirror ON mirror.id = mirror_id;

COMMENT ON VIEW report_failures IS
    'Failures by mirror, day, reason and tag: failed and abandoned tag records, and runs that failed as a whole.';
COMMENT ON COLUMN report_failures.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_failures.day IS 'UTC day of the failures.';
COMMENT ON COLUMN report_failures.scope IS 'tag: a tag record; run: a whole run.';
COMMENT ON COLUMN report_failures.tag IS 'The tag; NULL for runs.';
COMMENT ON COLUMN report_failures.reason IS 'One of the closed list: auth, not_found, quota, throttled, refused_media_type, digest_mismatch, network, server_error, timeout, storage, abandoned, internal.';
COMMENT ON COLUMN report_failures.failures IS 'How many.';
COMMENT ON COLUMN report_failures.last_at IS 'When the last of them ended.';
COMMENT ON COLUMN report_failures.last_run IS 'Id of the run of the last one.';
COMMENT ON COLUMN report_failures.last_message IS 'What the last one said.';


CREATE VIEW report_freshness AS
SELECT
    mirror.name AS mirror,
    coalesce(known, 0) - state.gone AS tags,
    coalesce(known, 0) - state.gone - state.out_of_sync AS tags_in_sync,
    state.behind AS tags_behind,
    state.failing AS tags_failing,
    state.held AS tags_held,
    state.gone AS tags_gone,
    extract(epoch FROM now() - state.behind_since)::double precision AS oldest_lag_seconds,
    extract(epoch FROM mirror.delay_goal)::double precision AS goal_seconds,
    arrival.last_arrival_at,
    success.ended_at AS last_success_at,
    run.started_at AS last_run_at,
    run.status AS last_run_status,
    extract(epoch FROM mirror.every)::double precision AS every_seconds
FROM mirror
-- All tags are counted by an index alone; only those that are not settled are looked at.
LEFT JOIN (
    SELECT mirror_id, count(*) AS known FROM tag_state GROUP BY mirror_id
) every_tag ON every_tag.mirror_id = mirror.id
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE gone_at IS NULL AND NOT held
                           AND copied_digest IS DISTINCT FROM source_digest) AS behind,
        count(*) FILTER (WHERE gone_at IS NULL
                           AND copied_digest IS DISTINCT FROM source_digest) AS out_of_sync,
        count(*) FILTER (WHERE gone_at IS NULL AND attempts > 0) AS failing,
        count(*) FILTER (WHERE gone_at IS NULL AND held) AS held,
        count(*) FILTER (WHERE gone_at IS NOT NULL) AS gone,
        min(greatest(coalesce(pushed_at, detected_at), mirror.followed_since))
            FILTER (WHERE gone_at IS NULL AND NOT held
                      AND copied_digest IS DISTINCT FROM source_digest) AS behind_since
    FROM tag_state
    WHERE mirror_id = mirror.id
      AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
           OR gone_at IS NOT NULL)
) state ON true
LEFT JOIN LATERAL (
    SELECT max(available_at) AS last_arrival_at FROM tag_state WHERE mirror_id = mirror.id
) arrival ON true
LEFT JOIN LATERAL (
    SELECT ended_at FROM sync_run
    WHERE mirror_id = mirror.id AND status = 'succeeded' AND NOT dry_run
    ORDER BY ended_at DESC LIMIT 1
) success ON true
LEFT JOIN LATERAL (
    SELECT started_at, status FROM sync_run
    WHERE mirror_id = mirror.id AND NOT dry_run AND reason IS DISTINCT FROM 'lock'
    ORDER BY started_at DESC LIMIT 1
) run ON true;

COMMENT ON VIEW report_freshness IS
    'Each mirror now: how many tags are in sync or behind, and the longest that one has been waiting.';
COMMENT ON COLUMN report_freshness.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_freshness.tags IS 'Tags that the source lists and the mirror follows.';
COMMENT ON COLUMN report_freshness.tags_in_sync IS 'Tags whose present digest was copied and verified, or found at the target.';
COMMENT ON COLUMN report_freshness.tags_behind IS 'Tags whose present digest has not arrived; without those that are held.';
COMMENT ON COLUMN report_freshness.tags_failing IS 'Tags whose last try failed.';
COMMENT ON COLUMN report_freshness.tags_held IS 'Immutable tags that moved at the source and were left as they were.';
COMMENT ON COLUMN report_freshness.tags_gone IS 'Tags that the source no longer lists and the target still has.';
COMMENT ON COLUMN report_freshness.oldest_lag_seconds IS 'The longest that a tag has been waiting, counted as delays are; NULL when none is waiting.';
COMMENT ON COLUMN report_freshness.goal_seconds IS 'The delay goal of the mirror.';
COMMENT ON COLUMN report_freshness.last_arrival_at IS 'When a tag was last verified at the target.';
COMMENT ON COLUMN report_freshness.last_success_at IS 'When a run last succeeded; NULL when none ever has.';
COMMENT ON COLUMN report_freshness.last_run_at IS 'When the last run started.';
COMMENT ON COLUMN report_freshness.last_run_status IS 'How it ended, or running.';
COMMENT ON COLUMN report_freshness.every_seconds IS 'Time between scheduled syncs.';


CREATE VIEW report_recent_runs AS
SELECT
    mirror.name AS mirror,
    run.id AS run,
    run.started_at,
    run.ended_at,
    run.status,
    run.trigger,
    run.complete,
    run.dry_run,
    run.tags_discovered,
    run.tags_changed,
    run.tags_copied,
    run.tags_failed,
    run.bytes_copied,
    run.requests_source,
    run.requests_target,
    run.seconds_total,
    run.reason,
    run.message,
    run.flow_run_id
FROM mirror
CROSS JOIN LATERAL (
    SELECT * FROM sync_run WHERE mirror_id = mirror.id ORDER BY started_at DESC LIMIT 50
) run;

COMMENT ON VIEW report_recent_runs IS 'The last 50 runs of each mirror.';
COMMENT ON COLUMN report_recent_runs.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_recent_runs.run IS 'Id of the run; sync_run.id and tag_sync.run_id.';
COMMENT ON COLUMN report_recent_runs.started_at IS 'When it started.';
COMMENT ON COLUMN report_recent_runs.ended_at IS 'When it ended; for abandoned runs, when the next run found them.';
COMMENT ON COLUMN report_recent_runs.status IS 'running, succeeded, partial, failed or abandoned.';
COMMENT ON COLUMN report_recent_runs.trigger IS 'What started it: schedule, watch or manual.';
COMMENT ON COLUMN report_recent_runs.complete IS 'Both sides were compared whole.';
COMMENT ON COLUMN report_recent_runs.dry_run IS 'Nothing was to be written.';
COMMENT ON COLUMN report_recent_runs.tags_discovered IS 'Tags discovered at the source.';
COMMENT ON COLUMN report_recent_runs.tags_changed IS 'Tags that needed work.';
COMMENT ON COLUMN report_recent_runs.tags_copied IS 'Tags that arrived.';
COMMENT ON COLUMN report_recent_runs.tags_failed IS 'Tags that failed.';
COMMENT ON COLUMN report_recent_runs.bytes_copied IS 'Bytes sent to the target.';
COMMENT ON COLUMN report_recent_runs.requests_source IS 'HTTP requests to the source, its web API included.';
COMMENT ON COLUMN report_recent_runs.requests_target IS 'HTTP requests to the target.';
COMMENT ON COLUMN report_recent_runs.seconds_total IS 'The flow''s own work.';
COMMENT ON COLUMN report_recent_runs.reason IS 'Why the run as a whole failed; lock: another run held the target.';
COMMENT ON COLUMN report_recent_runs.message IS 'The reason in words.';
COMMENT ON COLUMN report_recent_runs.flow_run_id IS 'Id of the flow run in Prefect.';


CREATE VIEW report_tag_history AS
SELECT
    mirror.name AS mirror,
    arrival.tag,
    arrival.source_digest,
    arrival.target_digest,
    arrival.pushed_at,
    arrival.detected_at,
    arrival.available_at,
    arrival.replaced_at,
    arrival.delay_seconds,
    arrival.delay_from,
    arrival.run_id AS run
FROM mirror
CROSS JOIN LATERAL (
    SELECT *, lead(available_at) OVER (PARTITION BY tag ORDER BY available_at) AS replaced_at
    FROM (
        SELECT tag, source_digest, target_digest, pushed_at, detected_at, available_at,
               delay_seconds, delay_from, run_id
        FROM tag_sync
        WHERE mirror_id = mirror.id AND status = 'succeeded' AND kind IN ('new', 'moved')
        UNION ALL
        SELECT tag, source_digest, target_digest, pushed_at, detected_at, available_at,
               delay_seconds, delay_from, run_id
        FROM tag_past
        WHERE mirror_id = mirror.id
    ) arrived
) arrival;

COMMENT ON VIEW report_tag_history IS
    'Every digest that a tag had at the target, from when to when, and how long it lagged. Ask for a mirror and a tag; whole, it is as long as the history.';
COMMENT ON COLUMN report_tag_history.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_tag_history.tag IS 'The tag.';
COMMENT ON COLUMN report_tag_history.source_digest IS 'What the source pointed at.';
COMMENT ON COLUMN report_tag_history.target_digest IS 'What the target then pointed at; differs where parts were left out.';
COMMENT ON COLUMN report_tag_history.pushed_at IS 'When it was pushed, where the source reports it.';
COMMENT ON COLUMN report_tag_history.detected_at IS 'When it was first seen at the source.';
COMMENT ON COLUMN report_tag_history.available_at IS 'When it was verified at the target.';
COMMENT ON COLUMN report_tag_history.replaced_at IS 'When the tag''s next digest arrived; NULL for the last.';
COMMENT ON COLUMN report_tag_history.delay_seconds IS 'How long it lagged.';
COMMENT ON COLUMN report_tag_history.delay_from IS 'What the delay counts from: pushed, detected or followed.';
COMMENT ON COLUMN report_tag_history.run IS 'Id of the run that copied it.';


CREATE VIEW report_quota AS
SELECT
    registry,
    nullif(account, '') AS account,
    day,
    readings,
    quota,
    least_remaining,
    least_remaining::double precision / nullif(quota, 0) AS least_share
FROM quotas_since('-infinity');

COMMENT ON VIEW report_quota IS 'The least that was left of each pull quota, by day.';
COMMENT ON COLUMN report_quota.registry IS 'Host of the registry.';
COMMENT ON COLUMN report_quota.account IS 'Account that the quota is of; NULL: anonymous, by address.';
COMMENT ON COLUMN report_quota.day IS 'UTC day.';
COMMENT ON COLUMN report_quota.readings IS 'How often it was read.';
COMMENT ON COLUMN report_quota.quota IS 'Pulls allowed in a window, the highest reported.';
COMMENT ON COLUMN report_quota.least_remaining IS 'The fewest that remained.';
COMMENT ON COLUMN report_quota.least_share IS 'least_remaining / quota.';


CREATE VIEW report_traffic AS
SELECT
    mirror.name AS mirror,
    day,
    bytes_copied,
    requests_source,
    requests_target,
    blobs_copied,
    blobs_mounted,
    blobs_reused,
    seconds
FROM runs_since('-infinity')
JOIN mirror ON mirror.id = mirror_id;

COMMENT ON VIEW report_traffic IS 'What the syncs cost by mirror and day, dry runs and collisions included.';
COMMENT ON COLUMN report_traffic.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_traffic.day IS 'UTC day on which the runs ended.';
COMMENT ON COLUMN report_traffic.bytes_copied IS 'Bytes sent to the target.';
COMMENT ON COLUMN report_traffic.requests_source IS 'HTTP requests to the source, its web API included.';
COMMENT ON COLUMN report_traffic.requests_target IS 'HTTP requests to the target.';
COMMENT ON COLUMN report_traffic.blobs_copied IS 'Blobs that were sent.';
COMMENT ON COLUMN report_traffic.blobs_mounted IS 'Blobs that the target mounted from another repository.';
COMMENT ON COLUMN report_traffic.blobs_reused IS 'Blobs that the target held already.';
COMMENT ON COLUMN report_traffic.seconds IS 'Seconds of the flows'' own work.';


CREATE VIEW report_pull_speed AS
SELECT
    mirror.name AS mirror,
    day,
    place,
    pairs,
    source_bytes / nullif(source_seconds, 0) AS source_bytes_per_second,
    target_bytes / nullif(target_seconds, 0) AS target_bytes_per_second,
    (target_bytes / nullif(target_seconds, 0)) / nullif(source_bytes / nullif(source_seconds, 0), 0)
        - 1 AS gain,
    gain_p50 AS median_gain
FROM probes_since('-infinity')
JOIN mirror ON mirror.id = mirror_id
WHERE pairs > 0;

COMMENT ON VIEW report_pull_speed IS
    'Pull speed of each mirror against its source, by day and place. Goal: gain of 0.5 (+50 %) or more. Only successful pulls of one round and one digest are compared.';
COMMENT ON COLUMN report_pull_speed.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_pull_speed.day IS 'UTC day of the pulls.';
COMMENT ON COLUMN report_pull_speed.place IS 'Where they ran; empty when not configured.';
COMMENT ON COLUMN report_pull_speed.pairs IS 'Pairs compared: the samples behind the figures.';
COMMENT ON COLUMN report_pull_speed.source_bytes_per_second IS 'All bytes by all seconds of the pairs, from the source.';
COMMENT ON COLUMN report_pull_speed.target_bytes_per_second IS 'All bytes by all seconds of the pairs, from the mirror.';
COMMENT ON COLUMN report_pull_speed.gain IS 'Speed from the mirror / speed from the source - 1: 0.5 is 50 % faster.';
COMMENT ON COLUMN report_pull_speed.median_gain IS 'Median of the gains of the single pairs.';


CREATE VIEW report_pull_failures AS
SELECT
    mirror.name AS mirror,
    day,
    place,
    target_pulls AS pulls,
    target_failed AS failed,
    target_failed::double precision / nullif(target_pulls, 0) AS failure_rate,
    source_pulls,
    source_failed,
    source_failed::double precision / nullif(source_pulls, 0) AS source_failure_rate
FROM probes_since('-infinity')
JOIN mirror ON mirror.id = mirror_id;

COMMENT ON VIEW report_pull_failures IS
    'Pulls that failed, from each mirror and, to compare, from its source, by day and place. Goal: failure_rate of 0.01 or less.';
COMMENT ON COLUMN report_pull_failures.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_pull_failures.day IS 'UTC day of the pulls.';
COMMENT ON COLUMN report_pull_failures.place IS 'Where they ran; empty when not configured.';
COMMENT ON COLUMN report_pull_failures.pulls IS 'Pulls from the mirror.';
COMMENT ON COLUMN report_pull_failures.failed IS 'Of these, pulls that failed.';
COMMENT ON COLUMN report_pull_failures.failure_rate IS 'failed / pulls; NULL without pulls.';
COMMENT ON COLUMN report_pull_failures.source_pulls IS 'Pulls from the source.';
COMMENT ON COLUMN report_pull_failures.source_failed IS 'Of these, pulls that failed.';
COMMENT ON COLUMN report_pull_failures.source_failure_rate IS 'source_failed / source_pulls; NULL without pulls.';


CREATE VIEW report_adoption AS
SELECT mirror.name AS mirror, both_sides.*
FROM mirror
CROSS JOIN LATERAL (
    SELECT
        day,
        source.total AS source_total,
        target.total AS target_total,
        CASE WHEN source.pulls >= 0 THEN source.pulls END AS source_pulls,
        CASE WHEN target.pulls >= 0 THEN target.pulls END AS target_pulls,
        CASE WHEN source.pulls >= 0 AND target.pulls >= 0 AND source.days = target.days
            THEN target.pulls::double precision / nullif(source.pulls + target.pulls, 0)
        END AS share
    FROM (
        SELECT day, pulls AS total, pulls - lag(pulls) OVER (ORDER BY day) AS pulls,
               day - lag(day) OVER (ORDER BY day) AS days
        FROM pull_count WHERE repository_id = mirror.source_id
    ) source
    FULL JOIN (
        SELECT day, pulls AS total, pulls - lag(pulls) OVER (ORDER BY day) AS pulls,
               day - lag(day) OVER (ORDER BY day) AS days
        FROM pull_count WHERE repository_id = mirror.target_id
    ) target USING (day)
) both_sides;

COMMENT ON VIEW report_adoption IS
    'Pulls of source and mirror by day, where their registries count them, and the mirror''s share. Goal: 0.7 or more of its users'' pulls.';
COMMENT ON COLUMN report_adoption.mirror IS 'Name of the mirror, as in mirrors.yaml.';
COMMENT ON COLUMN report_adoption.day IS 'UTC day of the last count.';
COMMENT ON COLUMN report_adoption.source_total IS 'Pulls from the source since it exists.';
COMMENT ON COLUMN report_adoption.target_total IS 'Pulls from the mirror since it exists.';
COMMENT ON COLUMN report_adoption.source_pulls IS 'Pulls from the source since the day counted before; NULL where unknown or where the count went back.';
COMMENT ON COLUMN report_adoption.target_pulls IS 'The same from the mirror.';
COMMENT ON COLUMN report_adoption.share IS 'target_pulls / (source_pulls + target_pulls), over the same days; NULL where either is unknown.';
