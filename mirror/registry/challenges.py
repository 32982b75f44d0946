"""WWW-Authenticate challenges (RFC 9110, 11.6.1; distribution's token specification)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - the grammar's word for a name
_PARAMETER: Final = re.compile(
    rf"\s*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|({_TOKEN}))\s*", re.ASCII | re.DOTALL
)
_SCHEME: Final = re.compile(rf"\s*({_TOKEN})(?:\s+|$|(?=,))", re.ASCII)
_SEPARATORS: Final = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, its parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of every WWW-Authenticate field, in their order.

    What cannot be read ends the field that it stands in; nothing is raised.
    """
    return tuple(challenge for value in values for challenge in _parse(value))


def _parse(value: str) -> Iterable[Challenge]:
    position = 0
    while True:
        position = _end(_SEPARATORS, value, position)
        scheme = _SCHEME.match(value, position)
        if not scheme:
            return
        position = scheme.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(value, position):
            text = found.group(3)
            if text is None:
                text = re.sub(r"\\(.)", r"\1", found.group(2), flags=re.DOTALL)
            parameters.setdefault(found.group(1).lower(), text)
            position = found.end()
            comma = re.compile(r"[\s,]*,[\s,]*").match(value, position)
            if not comma:
                break
            position = comma.end()
        yield Challenge(scheme.group(1).lower(), parameters)


def _end(pattern: re.Pattern[str], value: str, position: int) -> int:
    found = pattern.match(value, position)
    return found.end() if found else position


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: Bearer with a realm before Basic; None when neither is there."""
    found = tuple(challenges)
    for challenge in found:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    return next((c for c in found if c.scheme == "basic"), None)
