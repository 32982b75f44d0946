"""Fill a database with thirteen months of history, for timing reports and writes on it.

Rows are made in the database by INSERT ... SELECT, month by month, with the keys' triggers off:
figures are pseudo-random, the same for the same sizes, and shaped like real ones (most tags arrive
within minutes, one or two in a hundred fail, pulls from the mirror are faster). Random numbers are
drawn above an ORDER BY: drawn below a join, they would depend on the order in which the planner
reads the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg


@dataclass(frozen=True, slots=True)
class Size:
    """How much to fill in."""

    days: int = 395  # thirteen months
    mirrors: int = 20
    runs: int = 2_000_000
    tag_records: int = 10_000_000
    tags: int = 10_000  # present ones, of each mirror
    blobs: int = 20_000  # of each target
    probe_minutes: int = 15  # between rounds of pulls

    @property
    def seconds_between_runs(self) -> float:
        """Of one mirror."""
        return self.days * 86_400 / (self.runs / self.mirrors)

    @property
    def tags_of_a_run(self) -> int:
        """Every fourth run brings tags; the others find nothing new."""
        return max(1, round(4 * self.tag_records / self.runs))


_SETUP = """
INSERT INTO repository (registry, name)
SELECT 'docker.io', 'bench/source-' || n FROM generate_series(1, %(mirrors)s) n
UNION ALL
SELECT 'registry.example.com', 'bench/target-' || n FROM generate_series(1, %(mirrors)s) n;
INSERT INTO mirror (name, source_id, target_id, every, watch_every, delay_goal, created_at,
                    followed_since)
SELECT 'mirror-' || lpad(n::text, greatest(2, length(n::text)), '0'), source.id, target.id,
       '30 min', '2 min', '30 min', %(first)s, %(first)s
FROM generate_series(1, %(mirrors)s) n
JOIN repository source ON source.name = 'bench/source-' || n
JOIN repository target ON target.name = 'bench/target-' || n
ORDER BY n;
INSERT INTO tag_state (mirror_id, tag, source_digest, copied_digest, target_digest, pushed_at,
                       detected_at, available_at, attempts, failed_since, reason, message)
SELECT mirror.id, '1.' || n / 100 || '.' || n %% 100, digest, copied, copied, %(now)s - age,
       %(now)s - age, %(now)s - age, CASE WHEN copied IS NULL THEN 1 ELSE 0 END,
       CASE WHEN copied IS NULL THEN %(now)s - age END,
       CASE WHEN copied IS NULL THEN 'network' END, CASE WHEN copied IS NULL THEN 'no route' END
FROM mirror, generate_series(1, %(tags)s) n
CROSS JOIN LATERAL (SELECT 'sha256:' || md5(n::text) || md5(mirror.id::text || n)) d (digest)
CROSS JOIN LATERAL (SELECT CASE WHEN (n + 7 * mirror.id) %% 2000 <> 0 THEN digest END) c (copied)
CROSS JOIN LATERAL (SELECT n * interval '57 min') a (age);
INSERT INTO blob_presence (repository_id, digest, size, placed_at)
SELECT target_id, 'sha256:' || md5(n::text) || md5(CASE n %% 5 WHEN 0 THEN 'base' ELSE name END),
       1000 + n, %(now)s
FROM mirror, generate_series(1, %(blobs)s) n;
INSERT INTO pull_count (repository_id, day, pulls, counted_at)
SELECT repository.id, (day AT TIME ZONE 'UTC')::date,
       (CASE registry WHEN 'docker.io' THEN 100 ELSE 300 END)
       * ((day AT TIME ZONE 'UTC')::date - (%(first)s AT TIME ZONE 'UTC')::date), day
FROM repository, generate_series(%(first)s, %(now)s, interval '1 day') day;
"""

_RUNS = """
INSERT INTO sync_run (id, started_at, mirror_id, trigger, complete, status, ended_at,
    tags_discovered, tags_changed, tags_copied, tags_failed, blobs_copied, blobs_mounted,
    blobs_reused, bytes_copied, requests_source, requests_target, seconds_discover, seconds_diff,
    seconds_copy, seconds_verify, seconds_total, reason, message)
SELECT uuidv7(at - clock_timestamp()), at, mirror.id,
       CASE WHEN number %% 5 = 0 THEN 'schedule' ELSE 'watch' END, number %% 5 = 0, status,
       at + seconds * interval '1 second', 10000 + (number %% 80 = 0)::integer,
       tags, tags, 0, tags * 6, tags, tags * 3, tags * 40000000::bigint, 100 + tags * 9, tags * 30,
       0.4, 0.05, seconds - 1, 0.3, seconds,
       CASE status WHEN 'failed' THEN (ARRAY['network', 'auth', 'quota'])[1 + number %% 3]
                   WHEN 'abandoned' THEN 'abandoned' END,
       CASE WHEN status <> 'succeeded' THEN 'registry.example.com: did not go well' END
FROM (
    SELECT mirror_id, at, number, seconds,
           CASE WHEN number %% 4 = 0 THEN %(tags_of_a_run)s ELSE 0 END AS tags,
           CASE WHEN chance < 0.004 THEN 'failed' WHEN chance < 0.005 THEN 'abandoned'
                WHEN chance < 0.010 THEN 'partial' ELSE 'succeeded' END AS status
    FROM (
        SELECT mirror_id, at, number, random() AS chance, 2 + 20 * random() AS seconds
        FROM (
            SELECT mirror.id AS mirror_id, number,
                   %(first)s + (number * %(step)s + mirror.id) * interval '1 second' AS at
            FROM mirror, generate_series(%(from)s, %(until)s) number
            ORDER BY at, mirror_id
        ) planned
        WHERE at >= %(begin)s AND at < %(end)s
    ) drawn
) run JOIN mirror ON mirror.id = run.mirror_id
"""

_TAGS = """
INSERT INTO tag_sync (run_id, run_started_at, tag, mirror_id, target_tag, kind, status,
    source_digest, target_digest, pushed_at, detected_at, started_at, ended_at, available_at,
    delay_seconds, delay_from, attempts, blobs_copied, blobs_mounted, blobs_reused, bytes_copied,
    reason, message)
SELECT run_id, at, tag, mirror_id, tag,
       CASE WHEN tag = 'latest' THEN 'moved' ELSE 'new' END, status, digest, digest,
       ended_at - delay * interval '1 second', at, at, ended_at,
       CASE WHEN arrived THEN ended_at END, CASE WHEN arrived THEN delay END,
       CASE WHEN arrived THEN 'pushed' END, CASE WHEN chance < 0.03 THEN 2 ELSE 1 END, 6, 1, 3,
       40000000,
       CASE status WHEN 'failed'
                   THEN (ARRAY['network', 'throttled', 'server_error'])[1 + place %% 3]
                   WHEN 'abandoned' THEN 'abandoned' END,
       CASE WHEN NOT arrived THEN 'registry.example.com/bench: the connection broke' END
FROM (
    SELECT run.id AS run_id, run.started_at AS at, run.mirror_id, place, chance,
           CASE WHEN place = 1 AND run.tags_discovered = 10001 THEN 'latest'
                ELSE '1.' || extract(epoch FROM run.started_at)::bigint / 1000 || '.' || place
           END AS tag,
           'sha256:' || md5(run.id::text || place) || md5(place::text) AS digest,
           run.started_at + moment * (run.ended_at - run.started_at) AS ended_at,
           120 * exp(1.1 * normal) AS delay,
           CASE WHEN chance > 0.987 THEN 'failed'
                WHEN chance > 0.985 THEN 'abandoned'
                ELSE 'succeeded' END AS status,
           chance <= 0.985 AS arrived
    FROM (
        SELECT *, random() AS moment, random_normal() AS normal, random() AS chance
        FROM (
            SELECT sync_run.*, place
            FROM sync_run CROSS JOIN LATERAL generate_series(1, tags_changed) place
            WHERE started_at >= %(begin)s AND started_at < %(end)s AND tags_changed > 0
            ORDER BY started_at, mirror_id, place
        ) planned
    ) run
) tag
"""

_REST = """
INSERT INTO probe (mirror_id, probed_at, tag, side, place, digest, first_byte_seconds, seconds,
                   bytes, well, reason)
SELECT mirror_id, at, 'latest', side, 'cn-hangzhou', 'sha256:' || md5(at::text), 0.1,
       CASE WHEN well THEN (CASE side WHEN 'source' THEN 40 ELSE 18 END) * pace END,
       CASE WHEN well THEN 50000000 ELSE 0 END, well, CASE WHEN NOT well THEN 'timeout' END
FROM (
    SELECT *, random() > 0.005 AS well, 0.5 + random() AS pace
    FROM (
        SELECT mirror.id AS mirror_id, at, side
        FROM mirror, generate_series(%(begin)s, %(end)s - interval '1 second', %(probed)s) at
        CROSS JOIN (VALUES ('source'), ('target')) sides (side)
        ORDER BY at, mirror_id, side
    ) planned
) drawn;
INSERT INTO watch_run (started_at, id, ended_at, looked, moved, failed, messages, requests)
SELECT at, uuidv7(at - clock_timestamp()), at + interval '1 second', ARRAY['mirror-01'], '{}', '{}',
       '{}', 20
FROM generate_series(%(begin)s, %(end)s - interval '1 second', interval '2 min') at;
INSERT INTO quota_reading (registry, account, read_at, quota, remaining, window_seconds)
SELECT 'docker.io', account, at, 100, 20 + extract(minute FROM at)::integer, 21600
FROM generate_series(%(begin)s, %(end)s - interval '1 second', interval '2 min') at
CROSS JOIN (VALUES (''), ('hagicode')) accounts (account);
"""


def fill(connection: psycopg.Connection, size: Size, now: datetime) -> None:
    """Fill an empty history at head, from size.days before now until now. Works only once.

    Disables foreign key checks on this connection: needs a superuser.
    """
    first = (now - timedelta(days=size.days)).astimezone(UTC)
    values = {
        "mirrors": size.mirrors,
        "tags": size.tags,
        "blobs": size.blobs,
        "first": first,
        "now": now,
        "step": size.seconds_between_runs,
        "tags_of_a_run": size.tags_of_a_run,
        "probed": timedelta(minutes=size.probe_minutes),
    }
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET timezone = 'UTC'")
    connection.execute("SELECT setseed(0.5)")
    connection.execute("SELECT make_partitions(%(first)s, %(now)s)", values)
    _run(connection, _SETUP, values)
    begin = first
    while begin < now:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        end = min(now, (midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
        months = values | {
            "begin": begin,
            "end": end,
            "from": int((begin - first).total_seconds() / size.seconds_between_runs),
            "until": int((end - first).total_seconds() / size.seconds_between_runs) + 1,
        }
        for statements in (_RUNS, _TAGS, _REST):
            _run(connection, statements, months)
        print(f"filled until {end:%Y-%m-%d}", flush=True)
        begin = end


def _run(connection: psycopg.Connection, statements: str, values: dict[str, object]) -> None:
    # Values go into the text, so that the planner sees the months and the types are literals'.
    with psycopg.ClientCursor(connection) as cursor:
        for statement in filter(str.strip, statements.split(";\n")):
            cursor.execute(statement.encode(), values)
