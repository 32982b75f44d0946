CREATE TABLE IF NOT EXISTS hook_event (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    kind text NOT NULL,
    sender text NOT NULL,
    repository text NOT NULL,
    tag text,
    source text,
    woken_at timestamptz,
    looked_at timestamptz,
    CONSTRAINT pk_hook_event PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS ix_hook_event_received_at ON hook_event (received_at);
CREATE INDEX IF NOT EXISTS ix_hook_event_new ON hook_event (received_at) WHERE woken_at IS NULL;
CREATE INDEX IF NOT EXISTS ix_hook_event_woken ON hook_event (source) WHERE looked_at IS NULL AND source IS NOT NULL;
COMMENT ON COLUMN hook_event.kind IS 'Which service''s format it has: the KIND of its address.';
COMMENT ON COLUMN hook_event.sender IS 'Address that sent it.';
COMMENT ON COLUMN hook_event.repository IS 'As it says: a path, with a host where it names one.';
COMMENT ON COLUMN hook_event.tag IS 'As it says.';
COMMENT ON COLUMN hook_event.source IS 'The watched source that it names; NULL for none.';
COMMENT ON COLUMN hook_event.woken_at IS 'When the watch took note of it.';
COMMENT ON COLUMN hook_event.looked_at IS 'When the look at the source that followed it started.';

CREATE OR REPLACE VIEW report_hook_events AS
SELECT
    event.received_at,
    event.kind,
    event.repository,
    event.tag,
    mirror.name AS mirror,
    event.looked_at,
    arrival.pushed_at,
    arrival.available_at,
    extract(epoch FROM arrival.available_at - event.received_at)::double precision AS seconds
FROM hook_event event
LEFT JOIN (
    mirror JOIN repository ON repository.id = mirror.source_id
) ON repository.registry || '/' || repository.name = event.source
LEFT JOIN LATERAL (
    SELECT pushed_at, available_at FROM tag_sync
    WHERE tag_sync.mirror_id = mirror.id AND tag_sync.tag = event.tag
      AND tag_sync.ended_at >= event.received_at AND tag_sync.status = 'succeeded'
    ORDER BY tag_sync.ended_at LIMIT 1
) arrival ON true
WHERE event.received_at >= now() - interval '30 days';
COMMENT ON VIEW report_hook_events IS 'Pushes that services reported in the last 30 days, and when their tags became available.';
COMMENT ON COLUMN report_hook_events.received_at IS 'When the report arrived.';
COMMENT ON COLUMN report_hook_events.kind IS 'The KIND of the address that it was sent to.';
COMMENT ON COLUMN report_hook_events.repository IS 'The repository that it names.';
COMMENT ON COLUMN report_hook_events.tag IS 'The tag that it names.';
COMMENT ON COLUMN report_hook_events.mirror IS 'A mirror of that repository; NULL where there is none.';
COMMENT ON COLUMN report_hook_events.looked_at IS 'When the look at the source that followed it started.';
COMMENT ON COLUMN report_hook_events.pushed_at IS 'When the tag was pushed, where the source says so.';
COMMENT ON COLUMN report_hook_events.available_at IS 'When the tag was first available at the mirror after it.';
COMMENT ON COLUMN report_hook_events.seconds IS 'From the report until the tag was available, in seconds.';

INSERT INTO supported_program VALUES ('0009_hooks') ON CONFLICT DO NOTHING;
