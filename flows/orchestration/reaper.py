"""Ends flow runs at Prefect that are dead, and scheduled ones that a later one has overtaken.

A run is dead when its process holds no session of the history, or one that is silent
(mirror.history.find_living_runs). Nobody else ends it: a killed worker or server leaves its runs
Pending, Running, Cancelling or AwaitingRetry for good, where they take up the limit of a work pool
and look like work. And a worker that was away for hours would start all runs that came due.

Speaks HTTP instead of importing Prefect: `mirror watchdog` is small.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

import httpx

from flows.orchestration.server_check import credential
from mirror.errors import DatabaseError
from mirror.history import HistoryPool, LivingRuns, database_url, end_session, find_living_runs_with

EVERY: Final = 10.0  # seconds between two looks
# Seconds after which a run without a sign of life is dead: measured here, so that neither another
# machine's clock nor a jump of this one counts.
_PATIENCE: Final = {"PENDING": 40.0, "RUNNING": 20.0, "CANCELLING": 20.0, "SCHEDULED": 20.0}
_STARTING: Final = 900.0  # a container's image is being pulled
_PAGE: Final = 200
_CLIENT: Final = "mirror-reaper"  # by its name the server knows whose token it is
Run = dict[str, Any]


@dataclass(slots=True)
class Reaper:
    """Looks at the runs of a work pool again and again. Keeps when it first missed each.

    An async context manager: it also keeps its connections from look to look.
    """

    api_url: str
    work_pool: str
    clock: Callable[[], float] = time.monotonic
    _missed: dict[tuple[str, str], float] = field(default_factory=dict)  # by run and state
    _api: httpx.AsyncClient = field(init=False)
    _history: HistoryPool | None = None

    async def __aenter__(self) -> Self:
        self._api = httpx.AsyncClient(
            base_url=self.api_url.rstrip("/"),
            headers=credential(),
            timeout=20,
            trust_env=False,
            verify=self.api_url.startswith("https:"),  # authorities take 20 ms to load
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.aclose()
        if self._history is not None:
            await self._history.aclose()

    async def look(self, *, at_once: bool = False) -> tuple[str, ...]:
        """End what is dead or overtaken; says what, a line for each run.

        `at_once`: do not wait for a sign of life, since no worker of the pool runs yet.
        Raises httpx.HTTPError, DatabaseError.
        """
        if self._history is None:
            self._history = HistoryPool(await asyncio.to_thread(database_url), 1)
        runs = await self._active_or_due()
        # Asked after Prefect: a run that begins in between is found alive.
        living = await find_living_runs_with(self._history)
        due = [run for run in runs if run["state_type"] == "SCHEDULED"]
        waiting = [run for run in due if run["state_name"] == "AwaitingRetry"]
        active = [run for run in runs if run not in due]
        dead = self._dead([*active, *waiting], living, at_once=at_once)
        for run in dead:
            if run["id"] in living.frozen:
                await end_session(self._history.url, run["id"])
        overtaken = _overtaken([run for run in due if run not in waiting])
        said = [await self._end(run, *_why(run, living)) for run in dead]
        said += [
            await self._end(run, "CANCELLED", "a later run of the same work is due")
            for run in overtaken
        ]
        return tuple(said)

    def _dead(self, runs: list[Run], living: LivingRuns, *, at_once: bool) -> list[Run]:
        missed, now, dead = {}, self.clock(), []
        for run in runs:
            if run["id"] in living.alive:
                continue
            key = (run["id"], run["state_id"])
            missed[key] = self._missed.get(key, now)
            slow = run["state_name"] == "InfrastructurePending"
            patience = _STARTING if slow else _PATIENCE[run["state_type"]]
            if at_once or now - missed[key] >= patience:
                dead.append(run)
        self._missed = missed
        return dead

    async def _active_or_due(self) -> list[Run]:
        """Runs of this project's deployments in the work pool."""
        found: list[Run] = []
        while True:
            answer = await self._post(
                "/flow_runs/filter",
                {
                    "flow_runs": {
                        "operator": "or_",
                        "state": {"type": {"any_": _ACTIVE}},
                        # Only scheduled runs have one.
                        "next_scheduled_start_time": {"before_": datetime.now(UTC).isoformat()},
                    },
                    "work_pools": {"name": {"any_": [self.work_pool]}},
                    "limit": _PAGE,
                    "offset": len(found),
                    "sort": "EXPECTED_START_TIME_ASC",
                },
            )
            answer.raise_for_status()
            page: list[Run] = answer.json()
            found += page
            if len(page) < _PAGE:
                return found

    async def _end(self, run: Run, kind: str, why: str) -> str:
        name = kind.capitalize()
        answer = await self._post(
            f"/flow_runs/{run['id']}/set_state",
            {"state": {"type": kind, "name": name, "message": f"Ended: {why}."}},
        )
        if answer.status_code != httpx.codes.NOT_FOUND:  # deleted meanwhile
            answer.raise_for_status()
        return f"flow run {run['name']} ({run['id']}), {run['state_name']}: {name}, {why}"

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST, with a token where the server has CSRF protection; a token lasts an hour."""
        answer = await self._api.post(path, json=body)
        if answer.status_code != httpx.codes.FORBIDDEN:
            return answer
        token = await self._api.get("/csrf-token", params={"client": _CLIENT})
        token.raise_for_status()
        self._api.headers["Prefect-Csrf-Client"] = _CLIENT
        self._api.headers["Prefect-Csrf-Token"] = token.json()["token"]
        return await self._api.post(path, json=body)


_ACTIVE: Final = ["PENDING", "RUNNING", "CANCELLING"]


async def keep_reaping(reaper: Reaper, say: Callable[[str], None]) -> None:
    """Look every few seconds, for ever. A failure is said once, until the next look that works."""
    failing = False
    async with reaper:
        while True:
            try:
                for line in await reaper.look():
                    say(line)
                failing = False
            except (httpx.HTTPError, DatabaseError) as error:
                if not failing:
                    say(f"cannot look for dead runs: {str(error) or type(error).__name__}")
                failing = True
            await asyncio.sleep(EVERY)


def _why(run: Run, living: LivingRuns) -> tuple[str, str]:
    if run["state_type"] == "CANCELLING":
        return "CANCELLED", "its process is gone"
    if run["id"] in living.frozen:
        return "CRASHED", "its process has not answered for a while"
    return "CRASHED", "its process is gone"


def _overtaken(due: list[Run]) -> list[Run]:
    """Those that a schedule or the watch made and that came due before another one like them."""
    alike: dict[str, list[Run]] = defaultdict(list)
    for run in due:
        parameters = run["parameters"] or {}
        if run["auto_scheduled"] or parameters.get("trigger") == "watch":
            alike[json.dumps([run["deployment_id"], parameters], sort_keys=True)].append(run)
    return [
        run
        for runs in alike.values()
        for run in sorted(runs, key=lambda each: str(each["next_scheduled_start_time"]))[:-1]
    ]
