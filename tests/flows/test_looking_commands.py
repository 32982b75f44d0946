"""`mirror audit` and `mirror probe` as an operator runs them: output, codes, one line of error."""

from __future__ import annotations

import json

from flows.local.sample_registry.images import single
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push

IMAGE = multi_platform("looked at", sizes=(3_000,))


async def test_an_audit_prints_what_differs_and_exits_1(
    mirrors: Mirrors, pair: Pair, command: Command
) -> None:
    await push(pair.source_url, pair.source, "0.1.0", IMAGE)
    await mirrors.sync()
    other = single("somebody else's")
    await push(pair.target_url, pair.target, "0.1.0", other)
    ended = await command.run("audit", "m", "--json", "--rate", "200")
    assert (ended.code, ended.err) == (1, "")
    (document,) = json.loads(ended.out)
    assert (document["status"], document["tags"], document["handed_over"]) == (
        "differs",
        1,
        ["0.1.0"],
    )
    (finding,) = document["findings"]
    assert (finding["kind"], finding["digest"]) == ("wrong_digest", other.digest)


async def test_a_probe_prints_both_sides_and_by_how_much_the_mirror_is_faster(
    mirrors: Mirrors, pair: Pair, command: Command
) -> None:
    await push(pair.source_url, pair.source, "0.1.0", IMAGE)
    await mirrors.sync()
    ended = await command.run("probe", "m", "--json")
    assert (ended.code, ended.err) == (0, "")
    (document,) = json.loads(ended.out)
    assert (document["mirror"], document["tag"]) == ("m", "0.1.0")
    assert document["source"]["digest"] == document["target"]["digest"]
    ratio = document["target"]["bytes_per_second"] / document["source"]["bytes_per_second"]
    assert abs(document["gain"] - (ratio - 1)) < 1e-9


async def test_an_unknown_mirror_is_bad_usage(pair: Pair, command: Command) -> None:
    for name in ("audit", "probe"):
        ended = await command.run(name, "other")
        assert ended.code == 2
        assert len(ended.error_lines) == 1
        assert "there are: m" in ended.err
