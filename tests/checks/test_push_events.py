"""Reports of pushes, in the formats of the services that send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirror.checks import NotAReport, PushEvent, is_signed, read_report, sources_of

# Shortened from the services' documentation, which mirror/checks/push_events.py names.
REPORTS: dict[str, Any] = {
    "dockerhub": {
        "push_data": {"pusher": "me", "tag": "latest"},
        "repository": {"name": "app", "namespace": "team", "repo_name": "team/app"},
    },
    "distribution": {
        "events": [
            {
                "action": "push",
                "target": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "repository": "team/app",
                    "tag": "latest",
                },
            },
            {
                "action": "pull",
                "target": {"repository": "team/other", "tag": "latest"},
            },
        ]
    },
    "harbor": {
        "type": "PUSH_ARTIFACT",
        "event_data": {
            "resources": [{"tag": "latest", "resource_url": "hub.example.com/team/app:latest"}],
            "repository": {"name": "app", "repo_full_name": "team/app"},
        },
    },
    "github": {
        "action": "published",
        "registry_package": {
            "name": "app",
            "namespace": "Team",
            "package_version": {"container_metadata": {"tag": {"name": "latest"}}},
        },
    },
    "azure": {
        "action": "push",
        "target": {"repository": "team/app", "tag": "latest"},
        "request": {"host": "team.azurecr.io"},
    },
    "generic": {"repository": "team/app", "tag": "latest"},
}


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_names_a_repository_and_a_tag(kind: str) -> None:
    body = json.dumps(REPORTS[kind]).encode()
    assert read_report(kind, body) == (PushEvent("team/app", "latest"),)


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"1", b"null", b"\xff", b"[" * 60_000, b'{"repository": {"repo_name": 1}}'],
    ids=["nothing", "list", "number", "null", "no UTF-8", "deep", "wrong types"],
)
def test_a_body_that_is_no_report_is_refused_and_nothing_else_happens(
    kind: str, body: bytes
) -> None:
    try:
        assert read_report(kind, body) == ()
    except NotAReport as error:
        assert kind in str(error)


@pytest.mark.parametrize("name", ["", "a b", "a\0b", "a\nb", "x" * 256, "ä"])
def test_a_name_that_names_no_repository_is_refused(name: str) -> None:
    with pytest.raises(NotAReport):
        read_report("generic", json.dumps({"repository": name}).encode())


@pytest.mark.parametrize("tag", [None, 1, "a b", "x" * 129, "a\0"])
def test_a_tag_that_is_none_is_left_out(tag: object) -> None:
    body = json.dumps({"repository": "team/app", "tag": tag}).encode()
    assert read_report("generic", body) == (PushEvent("team/app", None),)


def test_a_report_of_many_events_is_read_up_to_a_hundred() -> None:
    event = REPORTS["distribution"]["events"][0]
    events = [
        {**event, "target": {**event["target"], "tag": f"1.{number}"}} for number in range(500)
    ]
    found = read_report("distribution", json.dumps({"events": events}).encode())
    assert len(found) == 100


def test_the_path_decides_which_sources_are_meant() -> None:
    sources = ("docker.io/team/app", "127.0.0.1:5000/team/app", "docker.io/team/other")
    assert sources_of("team/app", sources) == sources[:2]
    assert sources_of("registry.internal/team/app", sources) == sources[:2]
    assert sources_of("docker.io/team/other", sources) == sources[2:]
    assert sources_of("team/unknown", sources) == ()


def test_a_signature_is_that_of_the_body_and_the_secret() -> None:
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed("It's a Secret to Everybody", b"Hello, World!", signature)
    assert not is_signed("It's a Secret to Everybody", b"Hello, World?", signature)
    assert not is_signed("It's a Secret to Everybody", b"Hello, World!", "")
