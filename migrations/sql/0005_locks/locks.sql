-- Who holds the lock of a target. Unlogged, as the lock itself: neither outlives a crash of the
-- server nor is there on a standby.
CREATE UNLOGGED TABLE IF NOT EXISTS target_lock (
    target text NOT NULL,
    token uuid NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    acquired_at timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    run_id uuid,
    flow_run_id text,
    CONSTRAINT pk_target_lock PRIMARY KEY (target),
    CONSTRAINT uq_target_lock_token UNIQUE (token)
) WITH (fillfactor = 50);
COMMENT ON COLUMN target_lock.target IS 'Host[:port]/path of the target repository.';
COMMENT ON COLUMN target_lock.token IS
    'Of this holder. What it writes is refused as soon as another one is here.';
COMMENT ON COLUMN target_lock.host IS 'Name of the machine or container that holds it.';
COMMENT ON COLUMN target_lock.pid IS 'Process on that machine.';
COMMENT ON COLUMN target_lock.backend_pid IS
    'Process of this server that serves its connection and owns the advisory lock.';
COMMENT ON COLUMN target_lock.backend_start IS 'When that process started: numbers are reused.';
COMMENT ON COLUMN target_lock.acquired_at IS 'When it took the lock, by this server''s clock.';
COMMENT ON COLUMN target_lock.beat_at IS 'Its last heartbeat, by this server''s clock.';
COMMENT ON COLUMN target_lock.run_id IS 'The run, once it has begun.';
COMMENT ON COLUMN target_lock.flow_run_id IS 'Prefect''s id of the flow run.';

-- True for a token that holds a lock, and for NULL, which asks for nothing; else an error, so that
-- a run that lost its lock writes nothing: it may only have been frozen.
CREATE OR REPLACE FUNCTION holds(wanted uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF wanted IS NULL OR EXISTS (SELECT FROM target_lock WHERE token = wanted) THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'the lock of the target is lost' USING ERRCODE = 'MRLCK';
END
$$;
