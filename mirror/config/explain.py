"""Pydantic's validation errors as lines that name the key of mirrors.yaml and what is allowed.

Nothing that pydantic says itself is shown: its words are those of a program, and its values may be
secrets that were pasted into the wrong key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from mirror.config.base import Mistake
from mirror.config.entries import EntrySettings
from mirror.config.expectations import Kind, expected, keys_of, kind_of
from mirror.config.registry_names import without_login
from mirror.config.settings import Settings
from mirror.config.similar import did_you_mean, nearest
from mirror.outside_text import one_line

_MEANT = {  # what other programs call it
    "from": "source",
    "src": "source",
    "upstream": "source",
    "to": "target",
    "dest": "target",
    "dst": "target",
    "destination": "target",
    "interval": "every",
    "retries": "retry",
    "schedule": "every",
    "cron": "every",
    "architectures": "platforms",
    "arch": "platforms",
    "bandwidth": "rate_limit",
    "user": "username_env",
    "password": "password_env",
    "token": "token_env",
    "secret": "secret_env",
    "key": "key_env",
    "skip_tls_verify": "ca_file",
    "plain_http": "insecure",
}
_KEYLESS = ("keyless", "certificate", "fulcio", "issuer", "identity", "oidc", "rekor")
_SECRETS = ("user", "username", "password", "token", "secret", "key", "url")


def explain(error: ValidationError) -> list[str]:
    """A line for each problem: `mirrors.a.sauce: unknown key; allowed: …; did you mean source?`."""
    return [_line(problem) for problem in error.errors(include_url=False)]


def _line(problem: Any) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    written = ["mirrors", *location[1:]] if location[:1] == ["entries"] else location
    key = ".".join(_shown(part) for part in written)
    message = _message(problem, location)
    return f"{key}: {message}" if key else message


def _message(problem: Any, location: Sequence[str]) -> str:
    if isinstance(problem["input"], Mistake):
        return problem["input"].message
    if problem["loc"][-1:] == ("[key]",):
        names = _names_at(location[:-1])
        hint = did_you_mean(location[-1], names)
        return f"unknown name{hint}; allowed: {', '.join(names)}"
    if problem["type"] == "extra_forbidden":
        return _unknown_key(location)
    kind = _kind_at(location)
    if problem["type"] == "missing":
        return f"missing; write {_example(location[-1], kind)}"
    if problem["type"] == "value_error":
        return " ".join(problem["msg"].split()).removeprefix("Value error, ")
    if kind.words and isinstance(problem["input"], str):
        return f"must be {expected(kind)}{did_you_mean(problem['input'], kind.words)}"
    return f"must be {expected(kind)}"


def _unknown_key(location: Sequence[str]) -> str:
    *place, key = location
    around = _kind_at(place)
    keys = {} if around.model is None else keys_of(around.model)
    inner = [
        name for name, kind in keys.items() if kind.model is not None and key in keys_of(kind.model)
    ]
    message = f"unknown key; allowed: {', '.join(keys)}"
    if place[-1:] == ["verify"] and any(word in key.lower() for word in _KEYLESS):
        return f"{message}; keyless signatures are not supported yet: sign with a key"
    if inner:
        return f"{message}; {key} belongs in {inner[0]}: {{{key}: ...}}"
    if key in _SECRETS and f"{key}_env" in keys:
        return f"{message}; secrets do not belong in this file: name a variable in {key}_env"
    meant = _nearest_key(key, tuple(keys))
    return f"{message}; did you mean {meant}?" if meant else message


def _nearest_key(key: str, keys: Sequence[str]) -> str | None:
    meant = _MEANT.get(key.lower())
    return meant if meant in keys else nearest(key, keys)


def _example(key: str, kind: Kind) -> str:
    examples = {
        "source": "source: docker.io/library/nginx, the repository to copy from",
        "target": "target: registry.example.com/team/nginx, the repository to copy to",
        "mirrors": "mirrors: {NAME: {source: ..., target: ...}}",
    }
    return examples.get(key, f"{key}: with {expected(kind)}")


def allowed_keys(location: Sequence[str]) -> str:
    """The keys allowed at a place in mirrors.yaml, such as ("mirrors", "a", "tags")."""
    model = _kind_at(location).model
    return "" if model is None else ", ".join(keys_of(model))


def _kind_at(location: Sequence[str]) -> Kind:
    """What a place in mirrors.yaml may hold: the innermost that is known."""
    kind = kind_of(Settings)
    if location[:1] == ["entries"] and len(location) > 1:
        kind, location = kind_of(EntrySettings), location[2:]
    for part in location:
        found = kind.item if kind.model is None else keys_of(kind.model).get(part)
        if found is None:
            return kind
        kind = found
    return kind


def _names_at(location: Sequence[str]) -> tuple[str, ...]:
    """The names that entries may have, where a mapping allows only some."""
    return _kind_at(location).names


def _shown(part: str) -> str:
    """A key as it may be shown: one that holds a login is cut."""
    text = without_login(one_line(part))
    return text if len(text) <= 80 else f"{text[:77]}..."
