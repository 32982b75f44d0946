-- Programs that may use this schema although it is newer than theirs: the workers that still run
-- while it is migrated. A later revision adds itself, and removes what can no longer work.
CREATE TABLE IF NOT EXISTS supported_program (
    revision text NOT NULL,
    CONSTRAINT pk_supported_program PRIMARY KEY (revision)
);
COMMENT ON COLUMN supported_program.revision IS 'The newest revision that the program knows.';
INSERT INTO supported_program VALUES ('0008_programs') ON CONFLICT DO NOTHING;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirror_writer') THEN
        REVOKE INSERT, UPDATE, DELETE ON supported_program FROM mirror_writer;
    END IF;
END
$$;
