"""Mirrors of container images: the registry client, the sync, its history, alerts and site.

Plain Python: nothing here imports Prefect or the package `flows`, which runs it.
"""
