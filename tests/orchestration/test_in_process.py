"""What commands report when Prefect's server fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.orchestration import in_process
from flows.orchestration.in_process import prepare_prefect, run
from mirror.errors import PrefectError
from tests.support.registry_process import free_port

REQUEST = httpx.Request("POST", "http://127.0.0.1:4200/api/flow_runs/")


def test_a_result_comes_back() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    assert run(main()) == 7


def test_a_status_names_the_request_and_what_to_do() -> None:
    async def main() -> None:
        httpx.Response(503, request=REQUEST).raise_for_status()

    with pytest.raises(PrefectError) as caught:
        run(main())
    message = str(caught.value)
    assert "returned 503 for POST /api/flow_runs/" in message
    assert "use PostgreSQL" in message and "\n" not in message


def test_a_failure_that_prefect_wraps_is_recognised() -> None:
    async def main() -> None:
        raise RuntimeError("failed to reach API") from httpx.ConnectError("no", request=REQUEST)

    with pytest.raises(PrefectError, match=r"stopped responding \(ConnectError\)"):
        run(main())


def test_a_temporary_server_that_does_not_start_is_one_line() -> None:
    async def main() -> None:
        raise RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server.")

    with pytest.raises(PrefectError, match="temporary server did not start in time"):
        run(main())


def test_another_error_is_passed_on() -> None:
    async def main() -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        run(main())


def test_a_server_that_does_not_respond_is_reported_first(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setattr(in_process, "_DEFAULTS", {})  # the environment is the test session's
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(PrefectError, match=r"does not respond \(ConnectError\)") as caught:
        prepare_prefect()
    assert url in str(caught.value)


TEMPORARY = """
from flows.orchestration import prepare_prefect
prepare_prefect()
import httpx
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer
server = SubprocessASGIServer()
server.start()
page = {"Origin": "https://evil.example"}
print(httpx.get(server.api_url + "/admin/version").status_code)
answer = httpx.get(server.api_url + "/health", headers=page)
print(answer.headers.get("access-control-allow-origin"))
with get_client(sync_client=True) as client:
    print(client.read_flows())
server.stop()
"""


def test_a_temporary_server_is_locked_and_opened_by_this_process_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TEMPORARY],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "MIRROR_DATA_DIR": str(tmp_path / "data"),
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["401", "None", "[]"], done.stderr


def test_no_notice_of_telemetry_breaks_into_the_output() -> None:
    code = (
        "from flows.orchestration import prepare_prefect; prepare_prefect();"
        " from prefect._internal.analytics.enabled import is_telemetry_enabled as enabled;"
        " print(enabled())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DO_NOT_TRACK"}
    environment |= {"CI": "", "PREFECT_API_URL": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
