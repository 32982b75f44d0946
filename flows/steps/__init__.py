"""The steps of a sync: plain async functions, without Prefect and without a database."""
