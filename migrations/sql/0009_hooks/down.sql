DROP VIEW report_hook_events;
DROP TABLE hook_event;
DELETE FROM supported_program WHERE revision = '0009_hooks';
