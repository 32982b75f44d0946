"""Loopback and Prefect's API stay off the proxies of the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flows.orchestration.no_proxy import bypass_proxies
from mirror.errors import ConfigError

LOOPBACK = "localhost,127.0.0.1,::1"
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    "name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
)
def test_a_proxy_of_any_kind_gets_exceptions(name: str) -> None:
    environment = {name: PROXY, "PREFECT_API_URL": "https://prefect.example:4200/api"}
    bypass_proxies(environment=environment)
    assert environment["NO_PROXY"] == environment["no_proxy"] == f"{LOOPBACK},prefect.example"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"NO_PROXY": "a.example, .b.example"}, f"a.example,.b.example,{LOOPBACK}"),
        ({"no_proxy": "127.0.0.1"}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, f"b.example,{LOOPBACK}"),
        ({"NO_PROXY": "*"}, "*"),
        ({"NO_PROXY": LOOPBACK}, LOOPBACK),
    ],
)
def test_exceptions_that_are_there_stay(before: dict[str, str], after: str) -> None:
    environment = {"HTTP_PROXY": PROXY, **before}
    bypass_proxies(environment=environment)
    assert environment["NO_PROXY"] == environment["no_proxy"] == after


@pytest.mark.parametrize("environment", [{}, {"HTTP_PROXY": ""}, {"NO_PROXY": "a"}])
def test_nothing_changes_without_a_proxy(environment: dict[str, str]) -> None:
    before = dict(environment)
    bypass_proxies("http://prefect.example/api", environment)
    assert environment == before


@pytest.mark.parametrize("proxy", ["socks5://me:s3cret@127.0.0.1:9", "socks://h:1", "ftp://h:1"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_value(proxy: str) -> None:
    with pytest.raises(ConfigError, match="ALL_PROXY: not http://host:port") as caught:
        bypass_proxies(environment={"ALL_PROXY": proxy})
    assert "s3cret" not in str(caught.value)


def test_a_flow_in_a_plain_worker_gets_the_exceptions_by_its_import() -> None:
    """A worker's child imports the flow, not our command."""
    code = "import os, flows; print(os.environ['NO_PROXY'])"
    environment = {
        "PATH": os.environ["PATH"],
        "HTTP_PROXY": PROXY,
        "NO_PROXY": "a.example",
        "PREFECT_API_URL": "http://prefect.example:4200/api",
    }
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == f"a.example,{LOOPBACK},prefect.example"


def test_an_import_does_not_fail_for_a_proxy_that_cannot_be_used() -> None:
    bypass_proxies(environment={"ALL_PROXY": "socks5://127.0.0.1:9"}, strict=False)
