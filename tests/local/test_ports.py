"""A port that is taken is said in one line before anything starts."""

from __future__ import annotations

import socket

import pytest

from flows.local.ports import address, choose_port
from mirror.errors import MirrorError, UsageError


def test_a_taken_port_names_its_use_and_the_option_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MirrorError) as caught:
            choose_port("127.0.0.1", port, "the site", "--site-port")
    message = str(caught.value)
    assert "\n" not in message
    assert f"port {port}" in message and "the site" in message and "--site-port" in message


def test_zero_chooses_a_free_port() -> None:
    port = choose_port("127.0.0.1", 0, "the site", "--site-port")
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port


def test_a_host_that_is_not_ours_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"cannot listen at 192\.0\.2\.1:0"):
        choose_port("192.0.2.1", 0, "the site", "--site-port")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
    ],
)
def test_an_address_is_one_that_a_program_here_can_open(host: str, url: str) -> None:
    assert address(host, 80) == url
