"""What a terminal shows of a command that takes long."""

from __future__ import annotations

from rich.progress import Progress

from flows.cli.progress_bar import TrafficColumn, show_progress
from mirror.registry import RegistryTraffic
from mirror.sync import SyncProgress


def test_the_traffic_of_the_command_is_shown_with_its_rate() -> None:
    now = 100.0
    traffic = RegistryTraffic(requests=7, received=5_000_000)  # of before
    column = TrafficColumn(traffic, lambda: now)
    bar = Progress()
    bar.add_task("auditing")
    (task,) = bar.tasks
    assert column.render(task).plain == ""
    traffic.requests += 1
    traffic.received += 3_000_000
    now += 3.0
    assert column.render(task).plain == "1 request, 3.0 MB, 1.0 MB/s"
    traffic.requests += 11
    now += 10.0
    column.render(task)
    now += 5.0
    assert column.render(task).plain == "12 requests, 3.0 MB, 0 bytes/s"


def test_a_sync_shows_what_it_waits_for_and_how_far_it_is() -> None:
    progress, bar = SyncProgress(), Progress()
    shown = bar.add_task("", total=None)
    seen = []
    for waits_for, tags in (("", 0), ("docker.io", 0), ("", 0), ("", 3)):
        progress.waits_for, progress.tags = waits_for, tags
        show_progress(progress, bar, shown)
        seen.append(bar.tasks[0].description)
    assert seen == ["comparing", "waiting for a turn at docker.io", "comparing", "0/3 tags"]
