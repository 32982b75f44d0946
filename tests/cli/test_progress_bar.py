"""What a terminal shows of a command that takes long."""

from __future__ import annotations

from rich.progress import Progress

from flows.cli.progress_bar import TrafficColumn
from mirror.registry import RegistryTraffic


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
