"""A worker that gets SIGTERM in the middle of an upload, as `docker stop` sends it."""

from __future__ import annotations

from faults.sigterm import stop_worker


async def test_a_flow_run_of_a_worker_abandons_its_upload_and_says_so() -> None:
    found = await stop_worker()
    assert found["well"], found
    status, reason, message = found["run"]
    assert (status, reason) == ("abandoned", "abandoned")
    assert message.startswith("stopped by SIGTERM: 0 of 1 changed tags were copied")
