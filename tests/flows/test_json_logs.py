"""MIRROR_LOG=json: commands and workers say nothing but JSON, by run, mirror, tag and request."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from prefect.settings import PREFECT_API_URL

from flows.local.sample_registry.images import single
from tests.flows.command import Command, Ended
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry


def lines(text: str) -> list[dict[str, Any]]:
    """Every line, each of which is an object with what all have."""
    found = [json.loads(line) for line in text.splitlines()]
    assert found and all({"time", "level", "logger", "message"} <= each.keys() for each in found)
    return found


async def test_the_lines_of_a_sync_name_run_mirror_and_tag(
    mirrors: Mirrors, pair: Pair, command: Command
) -> None:
    for tag in ("1.0", "2.0"):
        await push(pair.source_url, pair.source, tag, single(tag))
    ended = await command.run("sync", "m", "--json", MIRROR_LOG="json", MIRROR_LOG_LEVEL="debug")
    assert ended.code == 0, ended.err
    (outcome,) = json.loads(ended.out)  # standard output is as ever
    said = lines(ended.err)
    copied = {each["tag"]: each for each in said if "copied:" in each["message"]}
    assert copied.keys() == {"1.0", "2.0"}
    for each in copied.values():
        assert (each["run"], each["mirror"]) == (outcome["run_id"], "m")
    requests = [each for each in said if "request" in each]
    assert len({each["request"] for each in requests}) == len(requests)
    about = {(each.get("run"), each.get("tag")) for each in requests}
    assert {(outcome["run_id"], "1.0"), (outcome["run_id"], "2.0")} <= about
    assert all(each["mirror"] == "m" for each in said if "Finished in state" in each["message"])


async def test_a_failed_attempt_is_a_line_with_its_request(
    mirrors: Mirrors, fake_registry: FakeRegistry, command: Command
) -> None:
    fake_registry.faults.add(Rule("tags/list", Respond(503)))
    await push(fake_registry.url, "team/app", "1.0", single("once"))
    mirrors.add("m", f"{fake_registry.host}/team/app", f"{fake_registry.host}/copy/app")
    ended = await command.run("sync", "m", MIRROR_LOG="json")
    (failed,) = [each for each in lines(ended.err) if "again in" in each["message"]]
    assert failed["mirror"] == "m" and failed["request"]
    assert "attempt 1" in failed["message"] and "503" in failed["message"]


async def test_an_error_is_a_line(mirrors: Mirrors, command: Command) -> None:
    ended: Ended = await command.run("sync", "other", MIRROR_LOG="json")
    (error,) = lines(ended.err)
    assert (ended.code, error["level"]) == (2, "ERROR")
    ended = await command.run("status", MIRROR_LOG="xml")
    assert ended.code == 2
    assert ended.error_lines == ["mirror: MIRROR_LOG: 'xml' is none of text, json"]


async def test_a_worker_says_nothing_else() -> None:
    arguments = ("start", "--pool", "json-logs", "--type", "process", "--run-once")
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flows.local.prefect_worker", *arguments),
        env={
            **os.environ,
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "MIRROR_LOG": "json",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await worker.communicate()
    assert (worker.returncode, printed) == (0, b""), said
    assert any("started!" in each["message"] for each in lines(said.decode()))
