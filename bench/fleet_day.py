"""`python -m bench.fleet_day`: many mirrors by one entry, workers on several hosts, and a day.

First every repository is synced by one, two, ... workers, to see what each adds. Then a day of
pushes is compressed into seconds; a worker is killed in it, and another one's host is cut off. The
figures go to standard output as JSON. Needs root and iproute2 (bench/hosts.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg

from bench.content import MANIFEST, Content, Image, Layer
from bench.fleet import NAMESPACE, repository
from bench.fleet_services import Services, cpu_seconds, services
from bench.hosts import Host, enter_world
from bench.process import BenchError, Process, roomy_memory

PATIENCE = 900.0  # seconds for a phase
HELD = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity activity USING (pid)
    WHERE locktype = 'advisory' AND host(client_addr) = %(address)s
      AND application_name LIKE 'mirror lock %%'
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the fleet is. mirrors, tags, pushes: numbers; day: seconds; limit: of a worker."""

    mirrors: int
    tags: int
    pushes: int
    day: float
    workers: int
    limit: int
    seed: int


class Workers:
    """The workers that run, each on its host."""

    def __init__(self, running: Services, limit: int) -> None:
        self._running = running
        self._limit = limit
        self.processes: dict[Host, Process] = {}

    def add(self) -> None:
        """Start one more."""
        host = Host(len(self.processes) + 1)
        host.connect()
        self.processes[host] = self._running.worker(host, self._limit)

    def kill(self, host: Host) -> None:
        """Kill a worker with all of its runs, as the kernel does without memory."""
        process = self.processes[host]
        os.killpg(process.child.pid, signal.SIGKILL)
        for name in ("prefect.engine", "prefect.flow_engine"):
            _kill_on(host, name)

    def cpu(self) -> dict[str, float]:
        """Processor seconds of each so far, with the runs that it carried out; 0 once killed."""
        found = {}
        for host, process in self.processes.items():
            try:
                found[host.name] = cpu_seconds(psutil.Process(process.child.pid))
            except psutil.NoSuchProcess:
                found[host.name] = 0.0
        return found

    def close(self) -> None:
        """Stop them all."""
        for host, process in self.processes.items():
            process.close()
            _kill_on(host, "prefect")


def _kill_on(host: Host, word: str) -> None:
    """Kill what runs in a host's namespace and has `word` in its command."""
    inside = Path(f"/run/netns/{host.name}").stat().st_ino
    for folder in Path("/proc").iterdir():
        try:
            if (folder / "ns/net").stat().st_ino != inside:
                continue
            if word.encode() in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue  # no process, or it has ended


def throughput(running: Services, workers: Workers, sizes: Sizes) -> list[dict[str, Any]]:
    """All repositories anew with one worker, two, and so on."""
    found = []
    for count in range(1, sizes.workers + 1):
        workers.add()
        for at in range(sizes.mirrors):
            running.push(repository(at, count, sizes.tags))
        running.publish()
        before = {**running.cpu(), **workers.cpu()}
        running.sync_all()
        seconds = running.wait(running.in_sync, f"a sync with {count} workers", PATIENCE)
        after = {**running.cpu(), **workers.cpu()}
        spent = {name: round(seconds - before[name], 1) for name, seconds in after.items()}
        tags = sizes.mirrors * sizes.tags
        own = sum(spent[host.name] for host in workers.processes)
        found.append(
            {
                "workers": count,
                "seconds": round(seconds, 1),
                "tags_a_second": round(tags / seconds, 2),
                "tags_a_second_of_the_workers_processors": round(tags / own, 2),
                "cpu_seconds": spent,
                "load": round(os.getloadavg()[0], 1),
            }
        )
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def day(running: Services, workers: Workers, sizes: Sizes) -> dict[str, Any]:
    """A compressed day: pushes as people push, a worker killed, a host cut off that is at work."""
    random = Random(sizes.seed)
    times = sorted(_moment(random) * sizes.day for _ in range(sizes.pushes))
    hosts = list(workers.processes)
    events = {sizes.day / 3: "kill", sizes.day * 2 / 3: "cut"} if len(hosts) > 2 else {}
    before, transactions = {**running.cpu(), **workers.cpu()}, running.ask(_TRANSACTIONS)
    began, freed, cut_at = time.monotonic(), 0.0, 0.0
    connections, held_at_cut, cut = 0, 0, hosts[-1]
    for number, moment in enumerate(times):
        while (now := time.monotonic() - began) < moment:
            for at in [at for at in events if now >= at]:
                if events[at] == "kill":
                    workers.kill(hosts[0])
                else:  # one that is at work, if there is one before the day is nearly over
                    held = {host: running.ask(HELD, address=host.address) for host in hosts[1:]}
                    cut = max(held, key=lambda host: held[host])
                    if not held[cut] and now < sizes.day * 0.95:
                        continue
                    held_at_cut = held[cut]
                    cut.cut()
                    cut_at = time.monotonic()
                del events[at]
            if cut_at and not freed and not running.ask(HELD, address=cut.address):
                freed = time.monotonic() - cut_at
            connections = max(connections, running.ask("SELECT count(*) FROM pg_stat_activity"))
            pause = 0.05 if now >= min(events, default=math.inf) else 0.5
            time.sleep(min(pause, max(0.01, moment - now)))
        at = random.randrange(sizes.mirrors)
        name = f"{NAMESPACE}/app{at:04}"
        layer = Layer(f"day/{number}", 2_000)
        running.push(Content(name, (Image(f"2.{number}.0", ((layer,),)),)))
        running.publish()
    while cut_at and not freed:
        if not running.ask(HELD, address=cut.address):
            freed = time.monotonic() - cut_at
        time.sleep(0.5)
    waited = running.wait(running.in_sync, "the end of the day", PATIENCE)
    after = {**running.cpu(), **workers.cpu()}
    # Without what a worker spent that was killed.
    spent = {name: round(max(0.0, seconds - before[name]), 1) for name, seconds in after.items()}
    return {
        "seconds": sizes.day,
        "pushes": sizes.pushes,
        "seconds_until_the_last_arrived": round(waited, 1),
        "delay_seconds": _delays(running),
        "locks_of_the_cut_host": {"held": held_at_cut, "freed_after_seconds": round(freed, 1)},
        "runs": _runs(running),
        "requests_to_the_source": running.ask(_REQUESTS),
        "transactions": running.ask(_TRANSACTIONS) - transactions,
        "connections_at_most": connections,
        "cpu_seconds": spent,
        "torn_tags": _torn(running),
    }


_TRANSACTIONS = "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database"
_REQUESTS = """
    SELECT (SELECT coalesce(sum(requests), 0) FROM watch_run)
         + (SELECT coalesce(sum(requests_source), 0) FROM sync_run)
"""


def _moment(random: Random) -> float:
    """When somebody pushes, from 0 to 1 of a day: most around 15 o'clock, few at night."""
    while True:
        at = random.random()
        if random.random() < 0.55 - 0.45 * math.cos(2 * math.pi * (at - 0.125)):
            return at


def _delays(running: Services) -> dict[str, float]:
    """From the push to the tag at the target, of the day's pushes."""
    pushed = {
        (name, tag): at
        for name, tags in running.pushed.items()
        for tag, at in tags.items()
        if tag.startswith("2.")
    }
    with psycopg.connect(running.url) as connection:
        rows = connection.execute(
            "SELECT repository.name, tag, available_at FROM tag_state"
            " JOIN mirror ON mirror.id = mirror_id JOIN repository ON repository.id = source_id"
            " WHERE tag LIKE '2.%'"
        ).fetchall()
    delays = sorted((at - pushed[name, tag]).total_seconds() for name, tag, at in rows)
    shares = {"median": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    return {
        name: round(delays[min(len(delays) - 1, int(len(delays) * share))], 1)
        for name, share in shares.items()
    }


def _runs(running: Services) -> dict[str, int]:
    """Runs by how they ended, and why."""
    with psycopg.connect(running.url) as connection:
        rows = connection.execute(
            "SELECT concat_ws(': ', status, reason), count(*) FROM sync_run GROUP BY 1"
        ).fetchall()
    return dict(rows)


def _torn(running: Services) -> int:
    """Tags of the target that are not what was pushed, or refer to something that is missing."""
    import httpx

    wrong = 0
    with httpx.Client(base_url=f"http://{running.target.host}", trust_env=False) as client:
        for name, tags in running.digests.items():
            path = f"/v2/copy/{name.removeprefix(f'{NAMESPACE}/')}"
            for tag, digest in tags.items():
                answer = client.get(f"{path}/manifests/{tag}", headers={"Accept": MANIFEST})
                parts = [answer.json().get("config", {}), *answer.json().get("layers", ())]
                whole = all(
                    client.head(f"{path}/blobs/{part.get('digest')}").is_success for part in parts
                )
                wrong += answer.headers.get("Docker-Content-Digest") != digest or not whole
    return wrong


def main() -> int:
    """Parse the arguments, run, print; exit 1 for a torn tag or a lock that stays."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet_day", description=__doc__)
    parser.add_argument("--mirrors", type=int, default=1000)
    parser.add_argument("--tags", type=int, default=100, help="Tags of each mirror.")
    parser.add_argument("--pushes", type=int, default=1000, help="Pushes of the day.")
    parser.add_argument("--day", type=float, default=900.0, help="Seconds that the day takes.")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--limit", type=int, default=2, help="Flow runs at once of each worker.")
    parser.add_argument("--watch-every", default="20s")
    parser.add_argument(
        "--far", type=float, default=0.0, help="Milliseconds of a round trip to the registries."
    )
    parser.add_argument("--seed", type=int, default=1)
    enter_world("bench.fleet_day")
    options = vars(parser.parse_args())
    every, far = options.pop("watch_every"), options.pop("far")
    sizes = Sizes(**options)
    with tempfile.TemporaryDirectory(prefix="fleet-", dir=roomy_memory()) as folder:
        try:
            with services(Path(folder), every, far) as running:
                workers = Workers(running, sizes.limit)
                try:
                    added = throughput(running, workers, sizes)
                    lived = day(running, workers, sizes)
                finally:
                    workers.close()
        except BenchError as error:
            sys.exit(f"bench: {error}")
    found = {"sizes": asdict(sizes), "far": far, "throughput": added, "day": lived}
    print(json.dumps(found, indent=2))
    return 1 if lived["torn_tags"] else 0


if __name__ == "__main__":
    sys.exit(main())
