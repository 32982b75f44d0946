"""Whether PREFECT_API_URL is the API of a Prefect server that this program can use."""

from __future__ import annotations

import os
from base64 import b64encode
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from mirror.errors import ConfigError, PrefectError
from mirror.outside_text import one_line

_TIMEOUT_SECONDS = 5


def check_server(url: str) -> None:
    """Raise one clear line where the server cannot be used.

    ConfigError: PREFECT_API_URL or the credential for it is wrong. PrefectError: the server does
    not respond, fails, or is of another version.
    """
    shown = _shown(url)
    # Loading the certificate authorities takes 50 ms, needed only for TLS.
    tls = url.startswith("https:")
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=tls) as client:
            health = client.get(f"{url.rstrip('/')}/health")
            _judge_path(shown, health)
            health.raise_for_status()
            answer = client.get(f"{url.rstrip('/')}/admin/version", headers=credential())
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise PrefectError(
            f"Prefect's server at {shown} returned {status}: check its log"
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PrefectError(
            f"Prefect's server at {shown} does not respond ({type(error).__name__}): start it, or"
            " unset PREFECT_API_URL to use a temporary one"
        ) from error
    _judge_path(shown, answer)
    _judge_version(shown, answer)


def _shown(url: str) -> str:
    """The address without a login. Raises ConfigError for one that is not http."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(
            "PREFECT_API_URL is not an address such as http://127.0.0.1:4200/api; correct it, or"
            " unset it to use a temporary server"
        )
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def credential() -> dict[str, str]:
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}


def _judge_path(shown: str, response: httpx.Response) -> None:
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ConfigError(
            f"Prefect's server at {shown} refuses the credential ({response.status_code}): set"
            " PREFECT_API_AUTH_STRING to the server's, or PREFECT_API_KEY"
        )
    page = response.text.lstrip().startswith("<")
    if page or response.status_code == httpx.codes.NOT_FOUND or response.is_redirect:
        what = "a web page" if page else str(response.status_code)
        raise ConfigError(
            f"PREFECT_API_URL: {shown} returned {what}, not Prefect's API; its path ends in /api,"
            " such as http://127.0.0.1:4200/api"
        )


def _judge_version(shown: str, response: httpx.Response) -> None:
    """Compare versions. A server that is busy is not judged: the run itself shows what fails."""
    if not response.is_success:
        return
    server, ours = response.text.strip().strip('"'), version("prefect")
    if server[:1].isdigit() and server.split(".")[:2] != ours.split(".")[:2]:
        raise PrefectError(
            f"Prefect's server at {shown} is version {one_line(server, 40)}, this program has"
            f" {ours}: install the same major and minor version on both sides"
        )
