"""`mirror doctor` finds what would make a sync fail, against real registries first."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flows.cli.doctor import command
from mirror.checks.doctor import examine
from mirror.config import load_settings
from mirror.history import PostgresRecorder, database_url, mirror_row, prepare
from mirror.registry import Endpoint
from tests.support.cosign import Signer
from tests.support.fake_registry import quirks
from tests.support.fake_registry.faults import Headers, Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD, USERNAME, DockerRegistry, free_port
from tests.support.users import User
from tests.sync.core import CoreSync

IMAGE = multi_platform("doctor", sizes=(3_000,))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clinic:
    """mirrors.yaml of a test, and `mirror doctor` on it."""

    path: Path
    registries: dict[str, dict[str, Any]] = field(default_factory=dict)
    mirrors: dict[str, dict[str, Any]] = field(default_factory=dict)

    def mirror(self, source: str, target: str, name: str = "m") -> None:
        """Add a mirror; registries that were not described are plain http."""
        for side in (source, target):
            self.registries.setdefault(side.partition("/")[0], {"insecure": True})
        self.mirrors[name] = {"source": source, "target": target}

    def write(self) -> None:
        """Write mirrors.yaml."""
        document = {"registries": self.registries, "mirrors": self.mirrors}
        self.path.write_text(yaml.safe_dump(document))

    async def run(self, *arguments: str) -> Result:
        """Run the command in a thread: the registries in memory need this loop."""
        self.write()
        line = ["--config", str(self.path), *arguments]
        return await asyncio.to_thread(CliRunner().invoke, command, line)

    async def diagnose(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """Exit code, and what was found by role."""
        result = await self.run("--json")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        document = json.loads(result.stdout)
        assert document["ok"] is (result.exit_code == 0)
        return result.exit_code, {found["role"]: found for found in document["registries"]}


@pytest.fixture
def clinic(tmp_path: Path, url: str, user: User, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("MIRROR_CONFIG", "set back after the test, since --config sets it")
    return Clinic(tmp_path / "mirrors.yaml")


def levels(found: Mapping[str, Any]) -> dict[str, str]:
    return {check["what"]: check["level"] for check in found["checks"]}


def message(found: Mapping[str, Any], what: str) -> str:
    return " ".join(check["message"] for check in found["checks"] if check["what"] == what)


async def fill(registry: DockerRegistry | FakeRegistry, repository: str, **login: Any) -> None:
    await push(registry.url, repository, "0.1.0", IMAGE, **login)


async def test_two_sound_registries_are_all_well_and_abilities_are_shown(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    await fill(shared_docker_registry, "doctor/source")
    await fill(shared_docker_registry, "doctor/target")
    host = shared_docker_registry.host
    clinic.mirror(f"{host}/doctor/source", f"{host}/doctor/target")
    code, found = await clinic.diagnose()
    assert code == 0
    assert levels(found["source"]) == {"reach": "ok", "pull": "ok"}
    assert levels(found["target"]) == {
        "reach": "ok",
        "push": "ok",
        "pull": "ok",
        "anonymous": "ok",
    }
    abilities = found["target"]["abilities"]
    assert {name: abilities[name] for name in ("mount", "resume", "ranges", "referrers")} == {
        "mount": True,
        "resume": True,
        "ranges": True,
        "referrers": False,  # distribution 2.8 has no referrers API
    }


async def test_nothing_is_left_behind_at_the_target(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    await fill(shared_docker_registry, "tidy/source")
    host = shared_docker_registry.host
    clinic.mirror(f"{host}/tidy/source", f"{host}/tidy/target")
    result = await clinic.run()
    assert result.exit_code == 0
    assert result.stdout.endswith("all checks passed\n")
    uploads = shared_docker_registry.storage / "repositories" / "tidy" / "target" / "_uploads"
    # distribution keeps an empty state of the hash of a session that was cancelled, no session
    assert not [path for path in uploads.rglob("*") if path.name in ("data", "startedat")]


async def test_a_target_that_is_not_there_yet_is_no_fault(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    await fill(shared_docker_registry, "early/source")
    host = shared_docker_registry.host
    clinic.mirror(f"{host}/early/source", f"{host}/early/target")
    code, found = await clinic.diagnose()
    assert code == 0
    assert levels(found["target"])["anonymous"] == "unknown"


async def test_a_source_that_does_not_exist_would_make_a_sync_fail(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    host = shared_docker_registry.host
    clinic.mirror(f"{host}/no/such", f"{host}/some/target")
    code, found = await clinic.diagnose()
    assert code == 1
    assert levels(found["source"]) == {"pull": "failure"}
    assert f"{host}/no/such" in message(found["source"], "pull")


async def test_a_registry_that_does_not_answer_would_make_a_sync_fail(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    await fill(shared_docker_registry, "away/source")
    away = f"127.0.0.1:{free_port()}"
    clinic.mirror(f"{shared_docker_registry.host}/away/source", f"{away}/some/target")
    code, found = await clinic.diagnose()
    assert code == 1
    assert levels(found["target"]) == {"reach": "failure"}
    assert away in message(found["target"], "reach")


async def test_a_private_target_works_with_a_credential_and_warns_of_anonymous_users(
    clinic: Clinic,
    docker_registry: StartDockerRegistry,
    shared_docker_registry: DockerRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(shared_docker_registry, "private/source")
    private = docker_registry(auth=True, tls=True)
    await fill(private, "team/app", auth=(USERNAME, PASSWORD), ca_file=private.ca_file)
    monkeypatch.setenv("TARGET_PASSWORD", PASSWORD)
    clinic.registries[private.host] = {
        "ca_file": str(private.ca_file),
        "username": USERNAME,
        "password_env": "TARGET_PASSWORD",
    }
    clinic.mirror(f"{shared_docker_registry.host}/private/source", f"{private.host}/team/app")
    code, found = await clinic.diagnose()
    assert code == 0
    assert found["target"]["credential"] == "TARGET_PASSWORD from the environment"
    assert levels(found["target"])["push"] == "ok"
    assert levels(found["target"])["anonymous"] == "warning"


async def test_a_wrong_password_is_reported_with_its_origin(
    clinic: Clinic,
    docker_registry: StartDockerRegistry,
    shared_docker_registry: DockerRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(shared_docker_registry, "wrong/source")
    private = docker_registry(auth=True)
    monkeypatch.setenv("TARGET_PASSWORD", "not-the-password")
    clinic.registries[private.host] = {
        "insecure": True,
        "username": USERNAME,
        "password_env": "TARGET_PASSWORD",
    }
    clinic.mirror(f"{shared_docker_registry.host}/wrong/source", f"{private.host}/team/app")
    result = await clinic.run()
    assert result.exit_code == 1
    assert "TARGET_PASSWORD from the environment" in result.output.replace("\n", " ")
    assert "not-the-password" not in result.output


async def test_an_unset_variable_is_a_failure_of_that_registry_alone(
    clinic: Clinic, shared_docker_registry: DockerRegistry
) -> None:
    await fill(shared_docker_registry, "unset/source")
    clinic.registries["127.0.0.1:9"] = {"username": "x", "password_env": "NOT_SET_ANYWHERE"}
    clinic.mirror(f"{shared_docker_registry.host}/unset/source", "127.0.0.1:9/team/app")
    code, found = await clinic.diagnose()
    assert code == 1
    assert "NOT_SET_ANYWHERE is not set" in message(found["target"], "credential")
    assert levels(found["source"])["pull"] == "ok"


@pytest.mark.parametrize(
    ("remaining", "level", "code"), [(100, "ok", 0), (15, "warning", 0), (0, "failure", 1)]
)
async def test_docker_hubs_quota_is_shown_and_a_spent_one_would_make_a_sync_fail(
    clinic: Clinic, remaining: int, level: str, code: int
) -> None:
    # registry-facts.md, Docker Hub: ratelimit-limit: 100;w=21600, on HEAD too
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": f"{remaining};w=21600"}
    async with FakeRegistry() as source, FakeRegistry() as target:
        await fill(source, "newbe36524/hagicode")
        source.faults.add(Rule("HEAD .*/manifests/", Headers(headers), times=None))
        clinic.mirror(f"{source.host}/newbe36524/hagicode", f"{target.host}/team/app")
        ended, found = await clinic.diagnose()
    assert found["source"]["quota"] == {
        "limit": 100,
        "remaining": remaining,
        "window_seconds": 21_600,
    }
    assert (levels(found["source"])["quota"], ended) == (level, code)


async def test_a_namespace_that_aliyun_does_not_have_is_a_push_that_is_denied(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACR_PASSWORD", quirks.PASSWORD)
    async with FakeRegistry() as source, FakeRegistry(quirks.ALIYUN_PERSONAL) as target:
        await fill(source, "team/app")
        clinic.registries[target.host] = {
            "insecure": True,
            "username": quirks.USERNAME,
            "password_env": "ACR_PASSWORD",
            "realm_hosts": ["localhost"],
        }
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/nobody/app", "denied")
        code, found = await clinic.diagnose()
    assert code == 1
    assert levels(found["target"])["push"] == "failure"
    said = message(found["target"], "push")
    assert "DENIED" in said
    assert "ACR_PASSWORD from the environment" in said


async def test_a_list_that_is_denied_before_the_first_push_is_a_warning(clinic: Clinic) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await fill(source, "team/app")
        target.faults.add(Rule("GET .*/tags/list", Respond(403, "DENIED"), times=None))
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/team/app")
        code, found = await clinic.diagnose()
    assert code == 0
    assert levels(found["target"])["pull"] == "warning"
    assert levels(found["target"])["push"] == "ok"


@pytest.mark.parametrize(("days", "level"), [(-1, "failure"), (3, "warning"), (60, "ok")])
async def test_a_token_that_says_when_it_ends_is_read(
    clinic: Clinic,
    shared_docker_registry: DockerRegistry,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    level: str,
) -> None:
    await fill(shared_docker_registry, "expiry/source")
    ends = NOW + timedelta(days=days)
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(ends.timestamp())}).encode())
    monkeypatch.setenv("TOKEN", f"e30.{claims.decode().rstrip('=')}.c2ln")
    host = shared_docker_registry.host
    clinic.registries[host] = {"insecure": True, "username": "x", "password_env": "TOKEN"}
    clinic.mirror(f"{host}/expiry/source", f"{host}/expiry/target")
    clinic.write()
    diagnosis = await examine(load_settings(clinic.path), lambda name: "", lambda: NOW)
    (target,) = [found for found in diagnosis.examined if found.place.role == "target"]
    assert target.level("credential") == level
    assert target.expires_at == ends


async def test_a_database_that_does_not_answer_would_make_a_sync_fail(
    clinic: Clinic, shared_docker_registry: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(shared_docker_registry, "norecord/source")
    host = shared_docker_registry.host
    clinic.mirror(f"{host}/norecord/source", f"{host}/norecord/target")
    monkeypatch.setenv("MIRROR_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    result = await clinic.run()
    assert result.exit_code == 1
    assert "failure: record:" in result.output
    assert result.output.endswith("1 problem would make a sync fail\n")


async def test_an_entry_of_registries_that_no_mirror_uses_is_a_warning(clinic: Clinic) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/app", "1.0", IMAGE)
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/copy/app")
        clinic.registries["docker.example"] = {"username_env": "U", "password_env": "P"}
        code, found = await clinic.diagnose()
    assert code == 0
    (warning,) = [one for one in found["registry"]["checks"] if one["what"] == "config"]
    assert (warning["level"], warning["message"]) == (
        "warning",
        "registries.docker.example: no mirror uses this entry",
    )


async def test_a_key_of_signatures_that_cannot_be_used_would_make_a_sync_fail(
    clinic: Clinic,
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await fill(source, "team/app")
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/team/app")
        clinic.mirrors["m"]["verify"] = {"cosign_key": "cosign.pub"}
        code, found = await clinic.diagnose()
        assert (code, levels(found["source"])["signature"]) == (1, "failure")
        assert f"{clinic.path.parent}/cosign.pub cannot be read" in message(
            found["source"], "signature"
        )
        Signer().write_public(clinic.path.parent / "cosign.pub")
        code, found = await clinic.diagnose()
        assert (code, levels(found["source"])["signature"]) == (0, "ok")
        assert "cosign.pub (ECDSA P-256)" in message(found["source"], "signature")


async def test_patterns_that_match_no_tag_are_a_warning(clinic: Clinic) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/app", "1.0", IMAGE)
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/copy/app")
        clinic.mirrors["m"]["tags"] = {"include": ["v*"]}
        code, found = await clinic.diagnose()
    assert code == 0
    messages = [one["message"] for one in found["source"]["checks"] if one["level"] == "warning"]
    assert any("none of the 1 tags" in message for message in messages)


@pytest.mark.parametrize(
    ("body", "level"),
    [
        (b'{"tags": null}', "failure"),  # a sync calls it suspicious
        (b'{"tags": []}', "failure"),
        (b'{"message": "moved"}', "failure"),
        (b"<html></html>", "failure"),
    ],
)
async def test_what_a_sync_would_not_believe_would_make_it_fail(
    clinic: Clinic, body: bytes, level: str
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/app", "1.0", IMAGE)
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/copy/app")
        clinic.write()
        settings = load_settings(clinic.path)
        prepare(database_url())
        async with PostgresRecorder.open(database_url()) as recorder:
            mirror = settings.mirror("m")
            await recorder.ensure_mirror(mirror_row(mirror))
            endpoint = Endpoint(source.host, insecure=True)
            there = Endpoint(target.host, insecure=True)
            core = CoreSync(endpoint, there, source_name="team/app", target_name="copy/app")
            await replace(core, name="m").sync(recorder=recorder)
        source.faults.add(Rule("GET .*/tags/list", Respond(200, body=body), times=None))
        code, found = await clinic.diagnose()
    assert code == 1
    assert level in {one["level"] for one in found["source"]["checks"]}


async def test_a_source_that_refuses_head_is_well_and_the_habit_is_noted(clinic: Clinic) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await fill(source, "team/app")
        source.faults.add(Rule("HEAD /v2/.*/manifests/", Respond(405), times=None))
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/copy/app")
        code, found = await clinic.diagnose()
        assert (code, levels(found["source"])) == (0, {"reach": "ok", "pull": "ok"})
        shown = await clinic.run()
    note = "note: head manifest does not work, so manifests are read by GET: "
    assert note in " ".join(shown.stdout.split())
    assert "405" in shown.stdout


async def test_a_source_that_answers_404_to_head_alone_is_well_with_a_warning(
    clinic: Clinic,
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await fill(source, "team/app")
        source.faults.add(Rule("HEAD /v2/.*/manifests/", Respond(404), times=None))
        clinic.mirror(f"{source.host}/team/app", f"{target.host}/copy/app")
        code, found = await clinic.diagnose()
    assert (code, levels(found["source"])) == (0, {"reach": "ok", "pull": "warning"})
    assert "404 to HEAD of 0.1.0, which GET has" in message(found["source"], "pull")
