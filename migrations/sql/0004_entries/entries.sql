CREATE TABLE IF NOT EXISTS entry_repository (
    entry text NOT NULL,
    name text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    missing_since timestamptz,
    gone_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT pk_entry_repository PRIMARY KEY (entry, name)
);
COMMENT ON COLUMN entry_repository.entry IS 'As in mirrors.yaml.';
COMMENT ON COLUMN entry_repository.name IS 'What the * of the source is replaced by.';
COMMENT ON COLUMN entry_repository.seen_at IS 'When the source last listed it.';
COMMENT ON COLUMN entry_repository.missing_since IS 'When a list of the source first lacked it.';
COMMENT ON COLUMN entry_repository.gone_at IS
    'When it was given up: lists a day apart lacked it. Its images are kept.';
COMMENT ON COLUMN entry_repository.updated_at IS
    'Its last push at the source, as of the last look at its tags.';
