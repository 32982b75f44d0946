"""Prefect flows that keep mirrors of container images."""
