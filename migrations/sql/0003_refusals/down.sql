ALTER TABLE registry_ability DROP COLUMN refusals;
