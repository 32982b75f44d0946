"""One sync a process: forked, so that it starts at once and dies alone.

`python -m faults.runner FILE` imports everything, then for each line of stdin forks a child that
syncs the mirror of FILE once. It prints the child's process id, then, when it has ended, a line of
JSON: what the run said, or how the process died.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import sys
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

from mirror.config import MirrorSettings
from mirror.errors import MirrorError
from mirror.history import PostgresRecorder, TargetLocked, mirror_row
from mirror.outcome import Reason, RetryRule, RunOutcome, Trigger
from mirror.registry import Credential, Endpoint
from mirror.sync import Prefetch, SyncContext, refuse, run
from mirror.sync.clients import connect

USER, PASSWORD = "mirror", "correct horse"
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NAME = "m"


async def sync(order: dict[str, Any]) -> RunOutcome:
    """One run of the mirror, as a flow does it without Prefect."""
    mirror = MirrorSettings(name=NAME, source=order["source"], target=order["target"])
    login = Credential(USER, PASSWORD, origin="the faults")
    source, target = (
        Endpoint(order[side].partition("/")[0], insecure=True, credential=lambda _: login)
        for side in ("source", "target")
    )
    full = bool(order["full"])
    async with connect(mirror, source, target, target) as clients:
        prefetch = Prefetch(clients.source, clients.target, clients.hub, full=full)
        async with prefetch, PostgresRecorder.open(order["url"]) as recorder:
            await recorder.ensure_mirror(mirror_row(mirror))
            context = SyncContext(
                mirror,
                clients,
                recorder,
                prefetch,
                full=full,
                trigger=Trigger.MANUAL,
                retry=RetryRule(wait=timedelta(0), then_every=timedelta(0)),
            )
            try:
                async with recorder.target_lock(mirror.target) as lock:
                    outcome, _ = await lock.hold(run(context))
                    return outcome
            except TargetLocked as locked:
                return await refuse(context, Reason.LOCK, str(locked))


def child(order: dict[str, Any], result: Path) -> None:
    """Sync once and write what came of it; never returns."""
    said: dict[str, Any]
    try:
        outcome = asyncio.run(sync(order))
        said = {
            "status": outcome.status.value,
            "bytes": outcome.bytes_copied,
            "errors": [f"{error.reason}: {error.message}" for error in outcome.errors][:5],
        }
    except MirrorError as error:  # what a command would say in one line
        said = {"status": "error", "errors": [f"{type(error).__name__}: {error}"]}
    except BaseException:  # noqa: BLE001 - a defect: the harness reports it whole
        said = {"status": "crashed", "errors": [traceback.format_exc()]}
    result.write_text(json.dumps(said))
    os._exit(0)


def main() -> None:
    """Fork a child for each line of stdin."""
    gc.freeze()
    folder = Path(tempfile.mkdtemp())
    for line in sys.stdin:
        order = json.loads(line)
        result = folder / "result"
        result.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            child(order, result)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        if result.exists() and os.WIFEXITED(status):
            print(result.read_text(), flush=True)
        else:
            print(json.dumps({"status": "killed", "errors": []}), flush=True)


if __name__ == "__main__":
    main()
