"""The workloads: what is set up, what is run, which figure is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.content import Content, Pusher
from bench.figures import Goal
from bench.fleet import run_fleet
from bench.round_trips import first_sync, new_tag
from bench.shape import Shape
from bench.sizes import MB, REPOSITORY, Sizes
from bench.stage import Links, Session
from bench.two_mirrors import run_two
from bench.up import run_hook, run_idle, run_poll

PLAIN = Links(Shape.of(60, 200), Shape.of(60, 100))
CAPPED = Links(Shape.of(60, 400, 20), Shape.of(60, 400))
FAR = Links(Shape.of(300, 200), Shape.of(300, 100), Shape.of(300))
DELAYS = (100, 500)  # ms, of a workload that compares two
DIRECT = Links()
FAST_PREPARATION = Links()


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload by its letter."""

    title: str
    run: Callable[[Session, Sizes, Links], None]
    links: Links
    goals: tuple[Goal, ...]


def cold_then_unchanged(letter: str, content: Content, *, peers_again: bool) -> Callable[..., None]:
    """Cold syncs by everyone in turns; ours again unchanged, with the web API and without."""

    def run(session: Session, links: Links) -> None:
        with session.source([content]) as source:
            for round_ in range(session.rounds):
                with session.stage(source, links) as stage, stage.ours([REPOSITORY]) as ours:
                    cold = ours.sync("m0")
                    ideal = content.layer_bytes / (links.target.rate or 1e12)
                    stage.note(letter, "cold", round_, cold, link_share=ideal / cold.seconds)
                    stage.note(letter, "unchanged, web API", round_, ours.sync("m0"))
                    ours.configure(stage.jobs([REPOSITORY]))
                    stage.note(letter, "unchanged, HEAD", round_, ours.sync("m0"))
                for tool in session.peers if round_ < session.peer_rounds else ():
                    with session.stage(source, links) as stage:
                        stage.run_peer(letter, "cold", round_, tool, REPOSITORY)
                        if peers_again:
                            stage.run_peer(letter, "unchanged", round_, tool, REPOSITORY)

    return run


def run_a(session: Session, sizes: Sizes, links: Links) -> None:
    """8 tags x 2 platforms."""
    cold_then_unchanged("A", sizes.a(), peers_again=True)(session, links)


def run_b(session: Session, sizes: Sizes, links: Links) -> None:
    """200 small tags."""
    cold_then_unchanged("B", sizes.b(), peers_again=False)(session, links)


def run_i(session: Session, sizes: Sizes, links: Links) -> None:
    """200 small tags over a long way."""
    cold_then_unchanged("I", sizes.b(), peers_again=False)(session, links)


def run_depth(session: Session, sizes: Sizes, links: Links) -> None:
    """One tag at two latencies: what the difference costs is round trips, one after another."""
    for title, trips in (("a first sync", first_sync()), ("a new tag", new_tag())):
        print(f"DEPTH {title}: {len(trips)} round trips on connections that are open")
        for number, requests in enumerate(trips, 1):
            print(f"DEPTH   {number}  {requests}", flush=True)
    near, far = (Links(Shape.of(delay), Shape.of(delay), Shape.of(delay)) for delay in DELAYS)
    with session.source([sizes.b(tags=1)]) as source:
        for round_ in range(session.rounds):
            seconds = {}
            for case, at in (("near", near), ("far", far)):
                with session.stage(source, at) as stage, stage.ours([REPOSITORY]) as ours:
                    seconds["cold", case] = (cold := ours.sync("m0")).seconds
                    seconds["unchanged", case] = (same := ours.sync("m0")).seconds
                    if case == "near":
                        continue
                    span = (DELAYS[1] - DELAYS[0]) / 1000
                    for name, sync in (("cold", cold), ("unchanged", same)):
                        depth = (seconds[name, "far"] - seconds[name, "near"]) / span
                        stage.note("DEPTH", name, round_, sync, round_trips=depth)


def run_c(session: Session, sizes: Sizes, links: Links) -> None:
    """One layer from a source that caps each connection."""
    with session.source([sizes.c()]) as source:
        for round_ in range(session.rounds):
            with session.stage(source, links) as stage, stage.ours([REPOSITORY]) as ours:
                stage.note("C", "cold", round_, ours.sync("m0"))
            for tool in session.peers if round_ < session.peer_rounds else ():
                with session.stage(source, links) as stage:
                    stage.run_peer("C", "cold", round_, tool, REPOSITORY)


def run_d(session: Session, sizes: Sizes, links: Links) -> None:
    """Repositories that share a base, one target registry, one command."""
    contents = sizes.d()
    names = [content.repository for content in contents]
    with session.source(contents) as source:
        for round_ in range(session.rounds):
            with session.stage(source, links) as stage, stage.ours(names) as ours:
                sync = ours.sync(*(f"m{at}" for at in range(len(names))))
                mounted = sync.total("blobs", "mounted")
                stage.note("D", "cold", round_, sync, mounted=mounted)


def run_e(session: Session, sizes: Sizes, links: Links) -> None:
    """One new tag among many; the history and the target know all others."""
    content, tags = sizes.e(), sizes.e_tags
    with (
        session.source([content]) as source,
        session.stage(source, links) as stage,
        stage.ours([REPOSITORY]) as ours,
    ):
        Pusher(stage.target.host, "copy/app").push(content)
        stage.shape(FAST_PREPARATION)
        ours.sync("m0")
        # One case after the other: a tag copied without the web API would be new to it later.
        for case, hub in (("web API", stage.hub), ("HEAD", None)):
            ours.configure(stage.jobs([REPOSITORY]), hub)
            for round_ in range(session.rounds):
                source.push(Content(REPOSITORY, (sizes.e_tag(tags),)))
                tags += 1
                stage.shape(links)
                planned = ours.sync("m0", flags=["--dry-run"])
                stage.shape(links)
                sync = ours.sync("m0")
                before = sync.total("seconds", "discover") + sync.total("seconds", "diff")
                asked = planned.total("requests", "source") + planned.total("requests", "target")
                stage.note("E", case, round_, sync, before_copy=before, requests_before=asked)


def run_f(session: Session, sizes: Sizes, links: Links) -> None:
    """Loopback, large layers: what the processor allows."""
    content = sizes.f()
    gigabytes = content.layer_bytes / 1e9
    with session.source([content]) as source:
        for round_ in range(session.rounds):
            with session.stage(source, links) as stage, stage.ours([REPOSITORY]) as ours:
                sync = ours.sync("m0")
                cpu = sync.usage.cpu / gigabytes
                stage.note("F", "cold", round_, sync, cpu_per_gb=cpu)
            for tool in session.peers if round_ < session.peer_rounds else ():
                with session.stage(source, links) as stage:
                    stage.run_peer("F", "cold", round_, tool, REPOSITORY)


def run_g(session: Session, sizes: Sizes, links: Links) -> None:
    """Peak memory with a layer of 4 GB against one of 50 MB."""
    for size in (sizes.g_small, sizes.g_large):
        with session.source([sizes.g(size)]) as source:
            for round_ in range(session.rounds):
                with session.stage(source, links) as stage, stage.ours([REPOSITORY]) as ours:
                    stage.note("G", f"{size / MB:g} MB", round_, ours.sync("m0"))


def run_h(session: Session, sizes: Sizes, links: Links) -> None:
    """The whole process, and what a changed tag costs where nothing has to be carried."""
    count, moved = sizes.h_tags, 0
    with (
        session.source([sizes.b(count)]) as source,
        session.stage(source, links) as stage,
        stage.ours([REPOSITORY]) as ours,
    ):
        ours.sync("m0")
        for round_ in range(session.rounds):
            unchanged = ours.sync("m0")
            stage.note("H", "unchanged", round_, unchanged)
            moved += 1
            source.push(sizes.b(count, moved))
            changed = ours.sync("m0")
            spent = (changed.seconds - unchanged.seconds) * 1000 / count
            stage.note("H", "every tag moved", round_, changed, ms_per_tag=spent)


WORKLOADS = {
    "A": Workload(
        "8 tags x 2 platforms, 360 MB",
        run_a,
        PLAIN,
        (
            Goal("A", "cold", "link_share", 0.97, "of the link's rate", at_least=True),
            Goal("A", "unchanged, web API", "seconds", 0.2, "s"),
        ),
    ),
    "B": Workload(
        "200 tags, 4.5 MB in all",
        run_b,
        PLAIN,
        (
            Goal("B", "cold", "seconds", 4.0, "s"),
            Goal("B", "unchanged, web API", "seconds", 0.3, "s"),
            Goal("B", "unchanged, HEAD", "seconds", 0.8, "s"),
        ),
    ),
    "C": Workload(
        "one 60 MB layer, source capped at 20 Mbit/s a connection",
        run_c,
        CAPPED,
        (Goal("C", "cold", "seconds", 3.0, "s"),),
    ),
    "D": Workload(
        "20 repositories that share a 40 MB base",
        run_d,
        PLAIN,
        (
            Goal("D", "cold", "mounted", 19, "blobs mounted", at_least=True),
            Goal("D", "cold", "source_mb", 45, "MB fetched"),
            Goal("D", "cold", "target_mb", 45, "MB uploaded"),
        ),
    ),
    "E": Workload(
        "one new tag of 10,000",
        run_e,
        PLAIN,
        (
            Goal("E", "web API", "requests_before", 3, "requests before copying"),
            Goal("E", "web API", "before_copy", 1.0, "s before copying"),
            Goal("E", "HEAD", "before_copy", 20.0, "s before copying"),
        ),
    ),
    "F": Workload("loopback, 4 GB in 50 MB layers", run_f, DIRECT, ()),
    "G": Workload("one 4 GB layer, loopback", run_g, DIRECT, ()),
    "H": Workload(
        "the whole process, 200 tags, loopback",
        run_h,
        Links(hub=Shape()),
        (
            Goal("H", "unchanged", "wall", 4.0, "s wall"),
            Goal("H", "every tag moved", "ms_per_tag", 5.0, "ms a changed tag"),
        ),
    ),
    "I": Workload("200 tags, 4.5 MB in all, 300 ms away", run_i, FAR, ()),
    "IDLE": Workload(
        "all processes of `mirror up` at rest",
        run_idle,
        DIRECT,
        (Goal("IDLE", "all", "percent_of_a_core", 2.0, "% of a core"),),
    ),
    "HOOK": Workload(
        "a push that is reported, until its tag is at the target",
        run_hook,
        DIRECT,
        (
            Goal("HOOK", "reported", "seconds", 4.0, "s"),
            Goal("HOOK", "slowest", "seconds", 6.0, "s"),
        ),
    ),
    "POLL": Workload(
        "a push that a look finds, until its tag is at the target",
        run_poll,
        DIRECT,
        (
            Goal("POLL", "found", "seconds", 15.0, "s"),
            Goal("POLL", "slowest", "seconds", 25.0, "s"),
        ),
    ),
    "FLEET": Workload(
        "300 repositories of three small tags by one entry, loopback",
        run_fleet,
        Links(hub=Shape()),
        (
            Goal("FLEET", "cold", "seconds", 240.0, "s"),
            Goal("FLEET", "unchanged, HEAD", "seconds", 15.0, "s"),
            Goal("FLEET", "unchanged, HEAD", "a_repository", 4.0, "requests a repository"),
            Goal("FLEET", "unchanged, web API", "seconds", 15.0, "s"),
            Goal(
                "FLEET", "unchanged, web API", "source_requests", 0.0, "requests besides the list"
            ),
        ),
    ),
    "TWO": Workload(
        "two mirrors of one source, 360 MB",
        run_two,
        PLAIN,
        (
            Goal("TWO", "two: both", "source_ratio", 1.03, "of one mirror's bytes"),
            Goal("TWO", "two: both", "all_ratio", 1.15, "of one mirror's seconds"),
            Goal("TWO", "a slow one: both", "first_ratio", 1.15, "of its seconds alone"),
        ),
    ),
    "DEPTH": Workload("round trips of one tag, one after another", run_depth, DIRECT, ()),
}
