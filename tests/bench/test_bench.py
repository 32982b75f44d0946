"""The bench works: tiny workloads, end to end, and the table that comes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from bench.__main__ import main
from bench.content import Content, Image, Layer, Pusher
from bench.figures import OURS, Figure, Goal, Results
from bench.measure import measure
from bench.sizes import FULL
from bench.table import BEGIN, END, detail, write_results
from tests.support.registry_process import DockerRegistry

ROOT = Path(__file__).parents[2]


def test_a_small_run_ends_in_figures_of_ours_and_of_skopeo(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "bench", "a", "--smoke", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--results", str(results)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = Results.read(results / "A.json")
    cold = next(each for each in found.figures if each.case == "cold" and each.tool == OURS)
    assert cold.outcomes[0]["tags"]["copied"] == 2
    assert cold.metrics["seconds"] < cold.metrics["wall"]
    assert cold.metrics["peak"] > 20
    assert cold.metrics["source_mb"] >= 0.24 and cold.metrics["target_mb"] >= 0.24
    assert found.middle("unchanged, web API", OURS, "target_requests") == 0
    assert found.middle("cold", "skopeo", "seconds") is not None
    assert "| A | cold | ≥ 0.97 of the link's rate |" in (tmp_path / "RESULTS.md").read_text()


def test_an_unknown_workload_is_bad_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "Z"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert (
        "no workload Z: choose from A B C D E F G H I IDLE HOOK POLL FLEET TWO DEPTH" in done.stderr
    )


def test_an_unknown_peer_is_bad_usage() -> None:
    result = CliRunner().invoke(main, ["--peer", "nobody"])

    assert result.exit_code == 2
    assert "not on PATH, or no peer: nobody" in result.output


def test_a_peer_is_compared_by_the_wall_time_of_its_process() -> None:
    ours = Figure("I", "cold", OURS, 0, 0.1, {"seconds": 6.0, "wall": 8.0})
    crane = Figure("I", "cold", "crane", 0, 0.1, {"seconds": 88.0, "wall": 88.0})
    lines = [*detail(Results("I", "far", "2026-11-26 23:00 UTC", {}, (), (ours, crane)))]

    assert lines[-4:-1] == [
        "|---" * 6 + "|",
        "| cold | mirror | 1 | 6 | 8 | 1 |",
        "| cold | crane | 1 | 88 | 88 | 11 |",
    ]


def test_the_workloads_have_the_sizes_that_were_set() -> None:
    assert FULL.a().layer_bytes == 360_000_000
    assert FULL.b().layer_bytes == 4_500_000
    assert FULL.c().layer_bytes == 60_000_000
    assert sum(content.layer_bytes for content in FULL.d()) == 20 * 40_050_000
    assert len(FULL.e().images) == 10_000
    assert FULL.f().layer_bytes == 4_000_000_000


def test_content_is_the_same_every_time(shared_docker_registry: DockerRegistry) -> None:
    layers = (Layer("one", 3_000_000), Layer("two", 10))
    content = Content("bench/same", (Image("1", (layers,)), Image("2", (layers, layers), "x")))
    first, second = (
        Pusher(shared_docker_registry.host, content.repository).push(content) for _ in range(2)
    )

    assert first == second
    assert sum(len(piece) for piece in layers[0].pieces()) == 3_000_000
    assert first["1"] != first["2"]


def test_a_process_is_measured_by_what_it_takes(tmp_path: Path) -> None:
    code = "import time; b = b'x' * 90_000_000; t = time.process_time()\n"
    code += "while time.process_time() - t < .3: pass\ntime.sleep(.2); print('done'); exit(3)"
    usage = measure([sys.executable, "-c", code], tmp_path)

    assert (usage.code, usage.output) == (3, "done\n")
    assert 0.3 <= usage.cpu < 1
    assert usage.wall >= 0.5
    assert 90e6 < usage.peak < 150e6


def test_the_table_replaces_figures_and_keeps_the_text_around_them(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(f"# Ours\nbefore\n{BEGIN}\nold figures\n{END}\nafter\n")
    figures = tuple(
        Figure("B", "cold", tool, round_, 0.5, {"seconds": seconds, "wall": seconds})
        for tool, seconds in ((OURS, 3.0), ("skopeo", 360.0))
        for round_ in range(3)
    )
    Results("B", "title", "today", {"kernel": "6"}, ("a link",), figures).write(tmp_path / "raw")
    write_results(tmp_path / "raw", page)

    text = page.read_text()
    assert text.startswith("# Ours\nbefore\n") and text.endswith("\nafter\n")
    assert "old figures" not in text
    assert "| B | cold | ≤ 4 s | 3 | 3 to 3, 3 rounds | met |" in text
    assert "| cold | skopeo | 3 | 360 | 360 | 120 |" in text
    assert json.loads((tmp_path / "raw" / "B.json").read_text())["figures"][0]["tool"] == OURS


def test_a_goal_can_be_missed() -> None:
    assert not Goal("A", "cold", "link_share", 0.97, "", at_least=True).holds(0.96)
    assert not Goal("B", "cold", "seconds", 4, "s").holds(4.1)
