"""What commands report when Prefect's server fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from faults.machine import lives
from flows.orchestration import in_process
from flows.orchestration.in_process import Terminated, prepare_prefect, run, run_or_stop
from mirror.errors import PrefectError
from tests.support.registry_process import free_port

REQUEST = httpx.Request("POST", "http://127.0.0.1:4200/api/flow_runs/")


def test_a_result_comes_back() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    assert run(main()) == 7


@pytest.mark.parametrize(
    ("number", "ended"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_cancels_once_and_what_is_cleaned_up_is_waited_for(
    number: signal.Signals, ended: type[BaseException]
) -> None:
    cleaned = []

    async def main() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), number)  # an impatient user
            await asyncio.sleep(0.1)
            cleaned.append(True)

    before = signal.getsignal(number)
    with pytest.raises(ended):
        run_or_stop(main())
    assert cleaned
    assert signal.getsignal(number) is before


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
    # The environment is the test session's, whose workers are to go on logging.
    monkeypatch.setattr(in_process, "_DEFAULTS", {})
    monkeypatch.setattr(in_process, "_SILENT", {})
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(PrefectError, match=r"does not respond \(ConnectError\)") as caught:
        prepare_prefect()
    assert url in str(caught.value)


TEMPORARY = """
from flows.orchestration import prepare_prefect
prepare_prefect()
import httpx, os, signal
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer
server = SubprocessASGIServer()
server.start()
import psutil
print("T_PASSWORD" in psutil.Process(server.server_process.pid).environ())
page = {"Origin": "https://evil.example"}
print(httpx.get(server.api_url + "/admin/version").status_code)
answer = httpx.get(server.api_url + "/health", headers=page)
print(answer.headers.get("access-control-allow-origin"))
with get_client(sync_client=True) as client:
    print(client.read_flows())
print(server.server_process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_temporary_server_is_locked_and_opened_by_this_process_alone(tmp_path: Path) -> None:
    """It has no credential of a registry, and the user's own folder `flows` does not matter.

    It ends with its process, however that ends.
    """
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", TEMPORARY],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "MIRROR_DATA_DIR": str(tmp_path / "data"),
            "T_PASSWORD": "of-a-registry",
            "PYTHONSAFEPATH": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,  # a server that stays would hold its output open
    )
    *found, pid = done.stdout.splitlines()
    assert found == ["False", "401", "None", "[]"], done.stderr
    deadline = time.monotonic() + 60
    while any(lives(each) for each in psutil.process_iter() if each.pid == int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
