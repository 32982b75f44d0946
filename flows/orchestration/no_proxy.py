"""Keeps loopback and Prefect's API off the proxies of the environment.

Prefect's clients, websockets, our registry client and every child process read HTTP_PROXY and the
like. A proxy elsewhere cannot reach this machine's loopback, where temporary servers listen.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from mirror.errors import ConfigError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy")


def bypass_proxies(
    api_url: str | None = None,
    environment: MutableMapping[str, str] | None = None,
    *,
    strict: bool = True,
) -> None:
    """Add loopback and the host of `api_url`, by default PREFECT_API_URL, to NO_PROXY and no_proxy.

    What they name already stays. Changes nothing where no proxy is set. `strict` raises ConfigError
    for a proxy of a kind that Prefect's client and ours cannot use, such as SOCKS.
    """
    variables = os.environ if environment is None else environment
    if not any(value for name, value in variables.items() if name.lower() in _PROXIES):
        return
    # Programs differ in which they read: most prefer the lower case.
    for name, value in variables.items():
        odd = "://" in value and not value.lower().startswith("http")
        if strict and odd and name.lower() in _PROXIES:
            raise ConfigError(
                f"{name}: not http://host:port, the only kind of proxy that works here"
            )
    known = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    names = [name for part in known.split(",") if (name := part.strip())]
    host = _host(api_url or variables.get("PREFECT_API_URL") or "")
    for name in (*_LOOPBACK, *((host,) if host else ())):
        if name not in names:
            names.append(name)
    if "*" in names:
        names = ["*"]
    variables["no_proxy"] = variables["NO_PROXY"] = ",".join(names)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
