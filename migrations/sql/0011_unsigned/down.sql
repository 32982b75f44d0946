-- The new reason becomes the nearest old one.
UPDATE sync_run SET reason = 'refused' WHERE reason = 'unsigned';
UPDATE tag_sync SET reason = 'refused' WHERE reason = 'unsigned';
UPDATE probe SET reason = 'refused' WHERE reason = 'unsigned';
UPDATE audit_run SET reason = 'refused' WHERE reason = 'unsigned';
ALTER TABLE sync_run
    DROP CONSTRAINT ck_sync_run_reason,
    ADD CONSTRAINT ck_sync_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'suspicious', 'lock', 'abandoned', 'internal'));
ALTER TABLE tag_sync
    DROP CONSTRAINT ck_tag_sync_reason,
    ADD CONSTRAINT ck_tag_sync_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'suspicious', 'lock', 'abandoned', 'internal'));
ALTER TABLE probe
    DROP CONSTRAINT ck_probe_reason,
    ADD CONSTRAINT ck_probe_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'suspicious', 'lock', 'abandoned', 'internal'));
ALTER TABLE audit_run
    DROP CONSTRAINT ck_audit_run_reason,
    ADD CONSTRAINT ck_audit_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'refused', 'suspicious', 'lock', 'abandoned', 'internal'));
DELETE FROM audit_finding WHERE kind = 'unsigned';
ALTER TABLE audit_finding
    DROP CONSTRAINT ck_audit_finding_kind,
    ADD CONSTRAINT ck_audit_finding_kind
    CHECK (kind IN ('behind', 'missing_tag', 'wrong_digest', 'missing_manifest', 'missing_blob', 'wrong_size', 'wrong_content',
                    'extra_tag', 'unreadable'));
COMMENT ON COLUMN report_audit_findings.kind IS 'behind, missing_tag, wrong_digest, missing_manifest, missing_blob, wrong_size, wrong_content, extra_tag or unreadable.';
COMMENT ON COLUMN report_failures.reason IS 'One of the closed list: auth, not_found, quota, throttled, refused_media_type, digest_mismatch, network, server_error, timeout, storage, refused, suspicious, abandoned, internal.';
DELETE FROM supported_program WHERE revision = '0011_unsigned';
