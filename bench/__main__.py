"""`python -m bench [WORKLOAD...]`: run workloads, keep raw figures, rewrite RESULTS.md."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

from bench import trivial
from bench.calibrate import calibrate
from bench.figures import RESULTS, Results, machine, now
from bench.ours import PrefectServer
from bench.peers import present
from bench.process import BenchError, roomy_memory
from bench.shape import UNSHAPED, Shape
from bench.sizes import FULL, SMOKE
from bench.stage import Links, Session
from bench.table import write_results
from bench.workloads import WORKLOADS


def calibrated(links: Links, scratch: Path) -> tuple[str, ...]:
    """What the emulated links of a workload really are like."""
    shapes = dict.fromkeys(each for each in (links.source, links.target) if each != UNSHAPED)
    readings = tuple(str(calibrate(each, scratch / "calibrate.log")) for each in shapes)
    for line in readings:
        print(f"link {line}", flush=True)
    return readings


@click.command()
@click.argument("letters", nargs=-1, metavar="[WORKLOAD...]")
@click.option("--rounds", default=3, show_default=True, help="Rounds of ours.")
@click.option("--peer-rounds", default=1, show_default=True, help="Rounds of each peer.")
@click.option("--peers/--no-peers", default=True, help="Run the peers found on PATH.")
@click.option("--peer", "wanted", multiple=True, help="Run this peer, not all.")
@click.option("--smoke", is_flag=True, help="Tiny sizes on short links: does the bench work?")
@click.option("--results", type=click.Path(path_type=Path), help="Another folder for raw figures.")
def main(
    letters: tuple[str, ...],
    rounds: int,
    peer_rounds: int,
    peers: bool,
    wanted: tuple[str, ...],
    smoke: bool,
    results: Path | None,
) -> None:
    """Measure the workloads (all of them without one) and rewrite bench/RESULTS.md."""
    # On SIGTERM it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [letter.upper() for letter in letters] or list(WORKLOADS)
    if unknown := [letter for letter in chosen if letter not in WORKLOADS]:
        raise click.UsageError(
            f"no workload {', '.join(unknown)}: choose from {' '.join(WORKLOADS)}"
        )
    tools = present() if peers else {}
    if missing := [name for name in wanted if name not in tools]:
        raise click.UsageError(f"not on PATH, or no peer: {', '.join(missing)}")
    tools = {name: recipe for name, recipe in tools.items() if not wanted or name in wanted}
    folder = results or (None if smoke else RESULTS)
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    stores = Path(tempfile.mkdtemp(prefix="bench-", dir=roomy_memory()))
    try:
        with PrefectServer(scratch) as prefect:
            speed = {} if smoke else {"speed": trivial.described({**os.environ, **prefect.env})}
            for letter in chosen:
                work = WORKLOADS[letter]
                links = work.links
                if smoke and not links.direct:
                    links = Links(Shape.of(5, 400), Shape.of(5, 400), Shape.of(5))
                session = Session(scratch, stores, prefect, tools, rounds, peer_rounds)
                readings = calibrated(links, scratch)
                work.run(session, SMOKE if smoke else FULL, links)
                found = Results(
                    letter,
                    work.title,
                    now(),
                    {**machine(tools), **speed},
                    readings,
                    tuple(session.figures),
                )
                if folder is not None:
                    found.write(folder)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    finally:
        for folder_of_ours in (scratch, stores):
            shutil.rmtree(folder_of_ours, ignore_errors=True)
    if folder is not None:
        write_results(folder, folder.parent / "RESULTS.md")


if __name__ == "__main__":
    main()
