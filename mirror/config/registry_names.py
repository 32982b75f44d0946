"""Registries and repositories as people write them: with a scheme, a slash, Hub's names."""

from __future__ import annotations

import re

from mirror.registry import InvalidReference, Reference

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DIGEST = re.compile(r"@[a-z0-9]+:[0-9a-f]{32,}$")
_API = re.compile(r"/v[12]$")  # docker's config.json names Hub https://index.docker.io/v1/
_HUB = "docker.io"
_HUB_HOSTS = {_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
_HUB_PAGES = {"hub.docker.com", "www.docker.com", "docker.com"}  # of people, not of images
_NO_SECRETS = "holds a user or password; mirrors.yaml names variables with username_env and"


def without_login(text: str) -> str:
    """A name or address with *** for what stands before its last @: a password may hold a slash."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1***@", text, flags=re.DOTALL)


def registry_key(text: str, *, insecure: bool = False) -> str:
    """A key of `registries:` as `host[:port][/repository]`, in lower case, Hub as docker.io.

    `insecure`: whether the entry allows plain http. Raises ValueError that says what to write.
    """
    scheme, rest = _without_scheme(text)
    if "@" in rest:
        raise ValueError(f"{_NO_SECRETS} password_env; write the host alone")
    key = _with_host(re.sub("/+", "/", rest).rstrip("/"))
    if scheme or key.startswith(f"{_HUB}/"):
        key = _API.sub("", key)
    if key.partition("/")[0] in _HUB_PAGES:
        raise ValueError(f"a web site, not a registry; write {_HUB}")
    if scheme == "http" and not insecure:
        raise ValueError(f"plain http needs the key insecure; write {key}: {{insecure: true}}")
    try:
        registry = Reference.parse(f"{key}/x").registry
    except InvalidReference as error:
        raise ValueError("not a registry host[:port]") from error
    if registry != key.partition("/")[0]:
        raise ValueError(
            "not a registry host[:port]: a host has a dot or a port;"
            f" for a repository of Docker Hub write {_HUB}/{key}"
        )
    return key


def repository(text: str) -> str:
    """A repository as `host[:port]/path`. Raises ValueError that says what to write."""
    scheme, rest = _without_scheme(text)
    rest = rest.rstrip("/")
    if "@" in _DIGEST.sub("", rest):
        raise ValueError(f"{_NO_SECRETS} password_env under registries")
    host, slash, path = rest.partition("/")
    if host.lower() in _HUB_PAGES:
        path = re.sub(r"^r/", "", re.sub(r"^_/", "library/", path)).removesuffix("/tags")
        raise ValueError(f"a web page, not a repository; write {_HUB}/{path or 'NAME/NAME'}")
    if scheme == "http":
        raise ValueError(
            f"a repository has no scheme; write {rest}, and for plain http"
            f" registries: {{{host}: {{insecure: true}}}}"
        )
    try:
        reference = Reference.parse(_with_host(rest) if slash else rest)
    except InvalidReference as error:
        raise ValueError(str(error)) from error
    name = f"{reference.registry}/{reference.repository}"
    if reference.tag or reference.digest:
        example = f'; write {name} and tags: {{include: ["{reference.tag}"]}}'
        raise ValueError(
            f"{text!r} names a tag or digest; only a repository is allowed"
            + (example if reference.tag and not reference.digest else f"; write {name}")
        )
    return name


def _without_scheme(text: str) -> tuple[str, str]:
    """The scheme or "", and the rest. Raises ValueError for a scheme that no registry has."""
    text = text.strip()
    match = _SCHEME.match(text)
    if match is None:
        return "", text
    scheme = match[1].lower()
    if scheme not in ("http", "https", "docker"):
        raise ValueError(f"{scheme}:// is not a registry's; write host[:port]/repository alone")
    return scheme, text[match.end() :]


def _with_host(text: str) -> str:
    """The name with its host in lower case, and the names of Docker Hub as docker.io."""
    host, slash, path = text.partition("/")
    if "." in host or ":" in host or host.lower() == "localhost":
        host = host.lower()
    return f"{_HUB if host in _HUB_HOSTS else host}{slash}{path}"
