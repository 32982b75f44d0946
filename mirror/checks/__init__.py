"""Checks beside the sync: audit, probe, doctor, pull counts."""
