"""What is said of a PREFECT_API_URL that cannot be used."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest

from flows.orchestration.server_check import check_server
from mirror.errors import ConfigError, MirrorError, PrefectError

MAJOR, MINOR = (int(part) for part in version("prefect").split(".")[:2])
Answers = Mapping[str, tuple[int, str]]


@contextmanager
def server(answers: Answers) -> Iterator[str]:
    """An http server that answers by path; "secured" is shown only to a credential."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, answers.get("*", (404, "{}")))
            if "secured" in body and "Authorization" not in self.headers:
                status = 401
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}/api"
        finally:
            running.shutdown()
            thread.join()


def good(reported: str) -> Answers:
    return {"/api/health": (200, "true"), "/api/admin/version": (200, f'"{reported}"')}


@pytest.mark.parametrize(
    "url", ["ftp://host/api", "127.0.0.1:4200/api", "http://", "nonsense", "http://[::1/api"]
)
def test_an_address_that_is_not_http(url: str) -> None:
    with pytest.raises(ConfigError, match="PREFECT_API_URL is not an address such as http://"):
        check_server(url)


@pytest.mark.parametrize(
    ("answers", "kind", "said"),
    [
        ({"*": (200, "<!DOCTYPE html><p>")}, ConfigError, "returned a web page, not Prefect's API"),
        ({"*": (404, "{}")}, ConfigError, "returned 404, not Prefect's API; its path ends in /api"),
        ({"*": (302, "")}, ConfigError, "not Prefect's API"),
        ({"*": (401, "{}")}, ConfigError, "refuses the credential (401): set PREFECT_API_AUTH_STR"),
        ({"*": (403, "{}")}, ConfigError, "refuses the credential (403)"),
        ({"/api/health": (200, "true"), "*": (401, "{}")}, ConfigError, "refuses the credential"),
        ({"*": (500, "{}")}, PrefectError, "returned 500: check its log"),
        (good(f"{MAJOR}.{MINOR - 1}.2"), PrefectError, f"version {MAJOR}.{MINOR - 1}.2, this prog"),
        (good(f"{MAJOR}.{MINOR + 1}.0"), PrefectError, version("prefect")),
        (good("2.20.1"), PrefectError, "is version 2.20.1"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(
    answers: Answers, kind: type[MirrorError], said: str
) -> None:
    with server(answers) as url, pytest.raises(kind) as caught:
        check_server(url)
    message = str(caught.value)
    assert said in message
    assert url in message and "\n" not in message


@pytest.mark.parametrize("reported", [version("prefect"), f"{MAJOR}.{MINOR}.99", "unknown"])
def test_a_server_of_this_version_is_used(reported: str) -> None:
    with server(good(reported)) as url:
        check_server(url)
        check_server(f"{url}/")


def test_a_credential_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/api/health": (200, "true"), "/api/admin/version": (200, '"secured"')}
    with server(answers) as url:
        with pytest.raises(ConfigError, match="refuses the credential"):
            check_server(url)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:pass")
        check_server(url)


def test_a_login_in_the_address_is_not_shown() -> None:
    with pytest.raises(PrefectError) as caught:
        check_server("http://me:s3cret@127.0.0.1:1/api")
    assert "s3cret" not in str(caught.value)
