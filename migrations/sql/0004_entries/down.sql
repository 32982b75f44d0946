DROP TABLE entry_repository;
