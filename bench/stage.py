"""Where a round takes place: an empty target, links in front of both registries, a web API."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.content import Content, Pusher
from bench.figures import OURS, Figure
from bench.hub import rows
from bench.measure import Usage, measure
from bench.ours import Job, Ours, PrefectServer, Sync
from bench.peers import Recipe
from bench.process import BenchError, HubProcess, LinkProcess, RegistryServer
from bench.shape import UNSHAPED, Shape

HUB_SHAPE = Shape.of(milliseconds=60)


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a workload; `direct` does without an emulator where nothing is emulated."""

    source: Shape = UNSHAPED
    target: Shape = UNSHAPED
    hub: Shape = HUB_SHAPE

    @property
    def direct(self) -> bool:
        """True on loopback as it is."""
        return self.source == UNSHAPED and self.target == UNSHAPED


@dataclass
class Session:
    """One run of the bench: its scratch folder, its servers, its figures."""

    scratch: Path
    stores: Path  # the registries' storage
    prefect: PrefectServer | None  # None where ours does not run
    peers: Mapping[str, Recipe]
    rounds: int
    peer_rounds: int
    figures: list[Figure] = field(default_factory=list)

    @property
    def server(self) -> PrefectServer:
        """Prefect's server; BenchError where there is none."""
        if self.prefect is None:
            raise BenchError("ours needs a Prefect server")
        return self.prefect

    @contextmanager
    def source(self, contents: Sequence[Content]) -> Iterator[Source]:
        """A registry that holds the contents."""
        root = Path(tempfile.mkdtemp(prefix="source-", dir=self.stores))
        server = RegistryServer(root / "store")
        try:
            source = Source(server, root / "listing.json")
            for content in contents:
                source.push(content)
            yield source
        finally:
            server.discard()
            shutil.rmtree(root, ignore_errors=True)

    @contextmanager
    def stage(self, source: Source, links: Links) -> Iterator[Stage]:
        """A round's surroundings, fresh; all of it is gone afterwards."""
        root = Path(tempfile.mkdtemp(prefix="round-", dir=self.scratch))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
            store = Path(tempfile.mkdtemp(prefix="target-", dir=self.stores))
            stack.callback(shutil.rmtree, store, ignore_errors=True)
            target = RegistryServer(store / "store")
            stack.callback(target.discard)
            near, far = source.server.host, target.host
            lines: tuple[LinkProcess, ...] = ()
            log = root / "links.log"
            if not links.direct:
                left = stack.enter_context(LinkProcess(source.server.port, log, links.source))
                right = stack.enter_context(LinkProcess(target.port, log, links.target))
                near, far, lines = left.host, right.host, (left, right)
            hub = stack.enter_context(HubProcess(source.listing, root / "hub.log"))
            front = stack.enter_context(LinkProcess(hub.port, log, links.hub))
            yield Stage(self, source, target, near, far, f"http://{front.host}", root, lines, links)

    def show(self, figure: Figure) -> None:
        """Keep a figure and tell it."""
        self.figures.append(figure)
        told = ", ".join(f"{name} {value:.3g}" for name, value in figure.metrics.items())
        print(
            f"{figure.workload} {figure.case}, round {figure.round}, {figure.tool}: {told}",
            flush=True,
        )


@dataclass
class Source:
    """The source registry, and what the web API says of it."""

    server: RegistryServer
    listing: Path
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    pushed: dict[str, dict[str, datetime]] = field(default_factory=dict)

    def push(self, content: Content) -> None:
        """Push images; the web API shows them as the newest."""
        known = self.digests.setdefault(content.repository, {})
        times = self.pushed.setdefault(content.repository, {})
        for tag, digest in Pusher(self.server.host, content.repository).push(content).items():
            if known.get(tag) != digest:
                known[tag], times[tag] = digest, datetime.now(UTC)
        self.listing.write_text(
            json.dumps({name: rows(tags, self.pushed[name]) for name, tags in self.digests.items()})
        )


@dataclass
class Stage:
    """One round: addresses as a client sees them."""

    session: Session
    source: Source
    target: RegistryServer
    near: str  # host:port of the source
    far: str  # host:port of the target
    hub: str  # address of the web API
    root: Path
    lines: tuple[LinkProcess, ...]
    links: Links

    @contextmanager
    def ours(self, repositories: Sequence[str], *, hub: bool = True) -> Iterator[Ours]:
        """Ours with a new history, one mirror a repository, named m0, m1, …"""
        ours = Ours(self.root / "ours", self.session.server)
        ours.configure(self.jobs(repositories), self.hub if hub else None)
        try:
            ours.start()
            yield ours
        finally:
            ours.close()

    def jobs(self, repositories: Sequence[str]) -> list[Job]:
        """The mirrors of the repositories."""
        return [
            Job(f"m{at}", f"{self.near}/{name}", f"{self.far}/copy/{name.rpartition('/')[2]}")
            for at, name in enumerate(repositories)
        ]

    @property
    def fetched_bytes(self) -> int:
        """What the source sent since its link was shaped."""
        return self.lines[0].traffic().to_client

    def shape(self, links: Links) -> None:
        """Change the links, and count traffic anew."""
        for line, shape in zip(self.lines, (links.source, links.target), strict=False):
            line.shape(shape)

    def note(self, workload: str, case: str, round_: int, sync: Sync, **metrics: float) -> None:
        """Keep a run of ours."""
        requests = {
            f"{side}_requests": sync.total("requests", side) for side in ("source", "target")
        }
        metrics = {"seconds": sync.seconds, **requests, **metrics}
        self.note_usage(workload, case, round_, sync.usage, sync.outcomes, **metrics)

    def note_usage(
        self,
        workload: str,
        case: str,
        round_: int,
        usage: Usage,
        outcomes: tuple[Mapping[str, Any], ...] = (),
        **metrics: float,
    ) -> None:
        """Keep a command of ours, with what it took."""
        taken = {**self._took(usage), **metrics}
        self.session.show(Figure(workload, case, OURS, round_, usage.load, taken, outcomes))

    def run_peer(self, workload: str, case: str, round_: int, tool: str, repository: str) -> None:
        """Run a peer on the stage and keep its figure; BenchError when it fails."""
        recipe = self.session.peers[tool]
        name = repository.rpartition("/")[2]
        source, target = f"{self.near}/{repository}", f"{self.far}/copy/{name}"
        commands = recipe(source, target, list(self.source.digests[repository]), self.root)
        usage = total([measure(command, self.root) for command in commands])
        if usage.code:
            raise BenchError(f"{tool} ended with code {usage.code}: {usage.errors[-500:]}")
        metrics = {"seconds": usage.wall, **self._took(usage)}
        self.session.show(Figure(workload, case, tool, round_, usage.load, metrics))

    def _took(self, usage: Usage) -> dict[str, float]:
        took = {"wall": usage.wall, "cpu": usage.cpu, "peak": usage.peak / 1e6}
        if self.lines:
            near, far = (line.shape(shape) for line, shape in zip(
                self.lines, (self.links.source, self.links.target), strict=True
            ))  # fmt: skip
            took["source_mb"] = near.to_client / 1e6
            took["target_mb"] = far.to_server / 1e6
        return took


def total(usages: Sequence[Usage]) -> Usage:
    """Of commands that ran one after the other."""
    first, *others = usages
    for each in others:
        first = first + each
    return first
