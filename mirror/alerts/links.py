"""The address of a flow run in the Prefect UI."""

from __future__ import annotations

import os
import re

_CLOUD = re.compile(r"https://api\.prefect\.cloud/api/accounts/([^/]+)/workspaces/([^/]+)/?")


def run_link(flow_run_id: str | None) -> str | None:
    """The page of a flow run, or None when the run or the UI is unknown.

    The UI is PREFECT_UI_URL, or derived from PREFECT_API_URL: the part before `/api`, and for
    Prefect Cloud its app.
    """
    base = _ui()
    return None if flow_run_id is None or base is None else f"{base}/runs/flow-run/{flow_run_id}"


def _ui() -> str | None:
    if named := os.environ.get("PREFECT_UI_URL"):
        return named.rstrip("/")
    api = os.environ.get("PREFECT_API_URL", "")
    if cloud := _CLOUD.fullmatch(api):
        return f"https://app.prefect.cloud/account/{cloud[1]}/workspace/{cloud[2]}"
    return api.rstrip("/").removesuffix("/api") or None
