"""One sync as plain async functions: discover, diff, copy, verify. No Prefect and no database."""
