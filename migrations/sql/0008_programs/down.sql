DROP TABLE supported_program;
