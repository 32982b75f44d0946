-- One more reason, and one more kind of findings. NOT VALID: rows that are there satisfy the longer list, and are checked later
-- without a lock that writers wait for (validate.sql).
ALTER TABLE sync_run
    DROP CONSTRAINT ck_sync_run_reason,
    ADD CONSTRAINT ck_sync_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'unsigned', 'suspicious', 'lock', 'abandoned', 'internal')) NOT VALID;
ALTER TABLE tag_sync
    DROP CONSTRAINT ck_tag_sync_reason,
    ADD CONSTRAINT ck_tag_sync_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'unsigned', 'suspicious', 'lock', 'abandoned', 'internal')) NOT VALID;
ALTER TABLE probe
    DROP CONSTRAINT ck_probe_reason,
    ADD CONSTRAINT ck_probe_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'unsigned', 'suspicious', 'lock', 'abandoned', 'internal')) NOT VALID;
ALTER TABLE audit_run
    DROP CONSTRAINT ck_audit_run_reason,
    ADD CONSTRAINT ck_audit_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'unsigned', 'suspicious', 'lock', 'abandoned', 'internal')) NOT VALID;
ALTER TABLE audit_finding
    DROP CONSTRAINT ck_audit_finding_kind,
    ADD CONSTRAINT ck_audit_finding_kind
    CHECK (kind IN ('behind', 'missing_tag', 'wrong_digest', 'missing_manifest', 'missing_blob', 'wrong_size', 'wrong_content',
                    'unsigned', 'extra_tag', 'unreadable')) NOT VALID;
COMMENT ON COLUMN report_audit_findings.kind IS 'behind, missing_tag, wrong_digest, missing_manifest, missing_blob, wrong_size, wrong_content, unsigned, extra_tag or unreadable.';
COMMENT ON COLUMN report_failures.reason IS 'One of the closed list: auth, not_found, quota, throttled, refused_media_type, digest_mismatch, network, server_error, timeout, storage, refused, unsigned, suspicious, abandoned, internal.';
INSERT INTO supported_program VALUES ('0011_unsigned') ON CONFLICT DO NOTHING;
