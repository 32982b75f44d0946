"""The site of a history in a real PostgreSQL: empty, after syncs, and through the command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from flows.cli.publish import command
from mirror.config import load_settings
from mirror.config.models import MirrorSettings
from mirror.history import DelayStats, MirrorRow, PostgresRecorder, Runs, Tags
from mirror.history.database.engine import create_engine
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    Dropped,
    DropReason,
    Plan,
    Reason,
    RunOutcome,
    RunStatus,
    SourceTag,
    TagFailure,
    TagTally,
    Trigger,
    Verification,
    utcnow,
)
from mirror.website.health import Health, health_of
from mirror.website.load import read_site_data
from mirror.website.site_data import SiteData
from tests.website.samples import ALIYUN, AZURE, HUB, digest

ALIYUN_NAME, AZURE_NAME = "hagicode-aliyun", "hagicode-azure"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = create_engine(url, read_only=True)
    yield engine
    engine.dispose()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two mirrors of HagiCode's image."""
    file = tmp_path / "mirrors.yaml"
    mirrors = {
        ALIYUN_NAME: {"source": HUB, "target": ALIYUN},
        AZURE_NAME: {"source": HUB, "target": AZURE, "every": "1h", "delay_goal": "1h"},
    }
    file.write_text(yaml.safe_dump({"mirrors": mirrors}), encoding="utf-8")
    return file


@pytest.fixture
def mirrors(config: Path) -> dict[str, MirrorSettings]:
    return dict(load_settings(config).mirrors)


async def synced(url: str) -> None:
    """A full run that brought one tag whole, one filtered, and failed with a third."""
    now = utcnow()
    async with PostgresRecorder.open(url) as record:
        every = timedelta(minutes=30)
        await record.ensure_mirror(MirrorRow(ALIYUN_NAME, HUB, ALIYUN, every, every, every))
        run = await record.begin_run(ALIYUN_NAME, Trigger.SCHEDULE, full=True)
        found = tuple(
            SourceTag(name, digest(name), now - age, size=412, platforms=("linux/amd64",))
            for name, age in (
                ("0.1", timedelta(minutes=1)),
                ("0.2", timedelta(minutes=2)),
                ("0.3", timedelta(minutes=3)),
            )
        )
        changes = tuple(
            Change(tag.name, tag.name, ChangeKind.NEW, tag.digest, tag.pushed_at, now)
            for tag in found
        )
        names = frozenset(tag.name for tag in found)
        discovery = Discovery(found, complete=True, via="hub_api", listed=names)
        await record.discovered(run, ALIYUN_NAME, discovery, Plan(changes, 0))
        dropped = Dropped(
            digest("x"),
            "application/vnd.oci.image.manifest.v1+json",
            DropReason.ATTESTATION_REFUSED,
        )
        whole, filtered, failed = changes
        for change, target, parts in (
            (whole, whole.digest, ()),
            (filtered, digest("filtered"), (dropped,)),
        ):
            outcome = CopyOutcome(change, now, now, target_digest=target, dropped=parts)
            await record.tag_ended(run, ALIYUN_NAME, outcome, Verification(change, now))
        failure = TagFailure(failed.tag, Reason.NETWORK, "0.3: the line broke")
        await record.tag_ended(
            run, ALIYUN_NAME, CopyOutcome(failed, now, now, failure=failure), None
        )
        tally = TagTally(discovered=3, changed=3, copied=2, failed=1)
        await record.end_run(
            RunOutcome(ALIYUN_NAME, run, RunStatus.PARTIAL, tally, errors=(failure,))
        )


def test_a_history_without_mirrors_gives_the_configured_ones_without_figures(
    engine: sa.Engine, mirrors: dict[str, MirrorSettings]
) -> None:
    data = read_site_data(engine, mirrors)
    assert [mirror.name for mirror in data.mirrors] == [ALIYUN_NAME, AZURE_NAME]
    assert [mirror.status.target for mirror in data.mirrors] == [ALIYUN, AZURE]
    for mirror in data.mirrors:
        assert health_of(mirror, data) is Health.UNKNOWN
        assert mirror.synced is None
        assert mirror.report.tags == Tags()
        assert mirror.report.delay == DelayStats()


async def test_syncs_are_read_as_they_went(
    url: str, engine: sa.Engine, mirrors: dict[str, MirrorSettings]
) -> None:
    await synced(url)
    data = read_site_data(engine, mirrors)
    aliyun, azure = data.mirrors
    assert (aliyun.synced, aliyun.behind) == (2, 1)
    assert aliyun.report.tags == Tags(succeeded=2, failed=1)
    assert aliyun.report.runs == Runs(partial=1)
    assert aliyun.report.delay.samples == 2
    behind_since = data.behind_since(aliyun)
    assert behind_since is not None
    # The failed tag was pushed before the mirror followed it, so it has waited since the sync.
    assert timedelta(0) <= data.read_at - behind_since < timedelta(seconds=30)
    assert [run.status for run in aliyun.runs] == [RunStatus.PARTIAL]
    tags = {tag.name: tag for tag in aliyun.tags}
    assert tags["0.1"].target_digest == digest("0.1")
    assert tags["0.1"].size == 412
    assert tags["0.1"].platforms == ("linux/amd64",)
    assert tags["0.2"].target_digest == digest("filtered")
    assert [part.reason for part in tags["0.2"].left_out] == [DropReason.ATTESTATION_REFUSED]
    assert not tags["0.3"].in_sync
    assert [tag.name for tag in aliyun.tags] == ["0.1", "0.2", "0.3"]  # newest push first
    assert len(aliyun.days) == 1
    assert azure.synced is None
    # Every run was partial: the mirror was never seen whole.
    assert health_of(aliyun, data) is Health.LAGGING


def test_alerts_are_incidents_except_those_that_concern_the_operator_alone(
    url: str, engine: sa.Engine, mirrors: dict[str, MirrorSettings]
) -> None:
    details = json.dumps({"since": "2026-11-24T08:00:00Z", "facts": {"runs": 4, "account": "me"}})
    writer = create_engine(url)
    with writer.begin() as connection:
        for rule, severity, closed in (
            ("run_failed", "critical", None),
            ("no_success", "critical", "2026-11-24T09:00:00Z"),
            ("quota_low", "warning", None),
            ("attestations_dropped", "info", None),
        ):
            connection.execute(
                sa.text(
                    "INSERT INTO alert (rule, severity, opened_at, seen_at, closed_at, details)"
                    " VALUES (:rule, :severity, '2026-11-24T08:30Z', now(), :closed,"
                    " CAST(:details AS jsonb))"
                ),
                {"rule": rule, "severity": severity, "closed": closed, "details": details},
            )
    writer.dispose()
    incidents = read_site_data(engine, mirrors).incidents
    assert [incident.kind for incident in incidents] == ["no_success", "run_failed"]
    assert incidents[1].summary.zh == "同步连续失败 4 次（含重试）"
    assert incidents[1].resolved_at is None
    assert incidents[0].resolved_at is not None


async def test_the_command_publishes_the_history(
    url: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("MIRROR_CONFIG", str(config))
    await synced(url)
    public = tmp_path / "www"
    done = CliRunner().invoke(
        command, [str(public), "--config", str(config), "--url", "https://example.com/m"]
    )
    assert done.exit_code == 0, done.output
    assert re.fullmatch(rf"{public}: 2 mirrors, 3 tags, [\d.]+ s\n", done.output)
    page = (public / "index.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="https://example.com/m/">' in page
    assert "# EOF" in (public / "metrics.txt").read_text(encoding="utf-8")
    status = json.loads((public / "status.json").read_text(encoding="utf-8"))
    assert status["mirrors"][0]["tags"]["synced"] == 2


@pytest.mark.parametrize(
    "address", ["ftp://example.com/", "example.com", "https://", "https://x/?a"]
)
def test_a_bad_address_is_one_clear_line(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.delenv("MIRROR_SITE_URL", raising=False)
    done = CliRunner().invoke(
        command, [str(tmp_path / "www"), "--config", str(config), "--url", address]
    )
    assert "is not an address such as https://example.com/mirror/" in str(done.exception)
    assert not (tmp_path / "www").exists()


def test_an_empty_site_needs_no_mirror() -> None:
    assert SiteData(read_at=utcnow()).mirror_at(ALIYUN) is None
