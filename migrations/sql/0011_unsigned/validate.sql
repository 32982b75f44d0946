ALTER TABLE sync_run VALIDATE CONSTRAINT ck_sync_run_reason;
ALTER TABLE tag_sync VALIDATE CONSTRAINT ck_tag_sync_reason;
ALTER TABLE probe VALIDATE CONSTRAINT ck_probe_reason;
ALTER TABLE audit_run VALIDATE CONSTRAINT ck_audit_run_reason;
ALTER TABLE audit_finding VALIDATE CONSTRAINT ck_audit_finding_kind;
