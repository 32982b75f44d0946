"""The address of a run in the Prefect UI, from what the environment says of Prefect."""

from __future__ import annotations

import pytest

from mirror.alerts.links import run_link

CLOUD = "https://api.prefect.cloud/api/accounts/a1/workspaces/w2"


@pytest.mark.parametrize(
    ("ui", "api", "link"),
    [
        (None, None, None),
        (None, "http://127.0.0.1:4200/api", "http://127.0.0.1:4200/runs/flow-run/7b1d"),
        (None, "http://127.0.0.1:4200/api/", "http://127.0.0.1:4200/runs/flow-run/7b1d"),
        (None, CLOUD, "https://app.prefect.cloud/account/a1/workspace/w2/runs/flow-run/7b1d"),
        ("https://ui.example/", CLOUD, "https://ui.example/runs/flow-run/7b1d"),
    ],
)
def test_a_run_is_linked_where_the_ui_is_known(
    ui: str | None, api: str | None, link: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PREFECT_UI_URL", ui), ("PREFECT_API_URL", api)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert run_link("7b1d") == link
    assert run_link(None) is None
