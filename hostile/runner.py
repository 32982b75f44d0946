"""One sync a process: forked, so that it starts at once and its peak memory is its own.

`python -m hostile.runner` imports what a flow run imports, then for each line of stdin (JSON) forks
a child that syncs one mirror once. When it has ended it prints a line of JSON: how the run ended,
its errors, its seconds and its peak resident memory in MB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import sys
import tempfile
import time
import traceback
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import mirror.registry.http.traffic
import mirror.sync.clients
from flows.sync import sync as _flow  # noqa: F401 - what a flow run has imported counts too
from mirror.config import MirrorSettings
from mirror.errors import MirrorError
from mirror.history import PostgresRecorder, mirror_row
from mirror.outcome import RetryRule, RunOutcome, Trigger
from mirror.registry import Credential, Endpoint, Limits, Registry, RetryPolicy, Timeouts
from mirror.sync import Prefetch, SyncContext, run

LOGIN = ("mirror", "correct horse")


async def sync(order: dict[str, Any]) -> RunOutcome:
    """One run of the mirror, as a flow does it without Prefect."""
    row = {key: order[key] for key in ("name", "source", "target")}
    mirror_settings = MirrorSettings(**row)
    login = Credential(*LOGIN, origin="the trials")
    source = Endpoint(
        mirror_settings.source.partition("/")[0],
        insecure=True,
        hub_api=order.get("hub"),
        credential=lambda _: login,
    )
    target = Endpoint(
        mirror_settings.target.partition("/")[0], insecure=True, credential=lambda _: login
    )
    limits = Limits(**order.get("limits", {}))
    connected = mirror.sync.clients.connect(mirror_settings, source, target, target, limits=limits)
    async with connected as clients:
        prefetch = Prefetch(clients.source, clients.target, clients.hub, full=True)
        async with prefetch, PostgresRecorder.open(order["url"]) as recorder:
            await recorder.ensure_mirror(mirror_row(mirror_settings))
            context = SyncContext(
                mirror_settings,
                clients,
                recorder,
                prefetch,
                trigger=Trigger.MANUAL,
                retry=RetryRule(wait=timedelta(0), then_every=timedelta(0)),
            )
            async with recorder.target_lock(mirror_settings.target) as lock:
                outcome, _ = await lock.hold(run(context))
                return outcome


def child(order: dict[str, Any], result: Path) -> None:
    """Sync once and write what came of it; never returns."""
    said: dict[str, Any]
    if order.get("hasty"):  # the same timeouts in seconds instead of minutes
        times, retry = Timeouts(5.0, 4.0, 8.0), RetryPolicy(attempts=2, patience=0.5)
        hasty = partial(Registry, timeouts=times, retry=retry)
        vars(mirror.sync.clients)["Registry"] = hasty
        vars(mirror.registry.http.traffic)["OVER"] = 3.0
    started = time.monotonic()
    try:
        outcome = asyncio.run(sync(order))
        said = {
            "status": outcome.status.value,
            "errors": [[each.tag, each.reason, each.message] for each in outcome.errors],
        }
    except MirrorError as error:  # what a command would say in one line
        said = {"status": "error", "errors": [[None, type(error).__name__, str(error)]]}
    except BaseException:  # noqa: BLE001 - a defect: the harness reports it whole
        said = {"status": "crashed", "errors": [[None, "crashed", traceback.format_exc()]]}
    said["seconds"] = round(time.monotonic() - started, 2)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    said["peak_mb"] = round(int(peak.group(1)) / 1024) if peak else 0
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
            child(order, result)
        _, status = os.waitpid(pid, 0)
        if result.exists() and os.WIFEXITED(status):
            print(result.read_text(), flush=True)
        else:
            print(json.dumps({"status": "killed", "errors": [], "peak_mb": 0}), flush=True)


if __name__ == "__main__":
    main()
