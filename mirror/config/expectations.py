"""What a key of mirrors.yaml may hold, in words, by the type of its field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mirror.config.base import ConfigModel, EnvName
from mirror.units import parse_rate

_NOT_KEYS = {
    ("Settings", "path"),
    ("Settings", "entries"),
    ("MirrorSettings", "name"),
    ("EntrySettings", "name"),
}  # what mirrors.yaml cannot set
_ENV_NAME = get_args(EnvName)[1]


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a field: without None, and with the metadata of Annotated."""

    base: Any
    metadata: tuple[Any, ...]
    optional: bool

    @property
    def model(self) -> type[ConfigModel] | None:
        """The model, where the field holds one."""
        return (
            self.base
            if isinstance(self.base, type) and issubclass(self.base, ConfigModel)
            else None
        )

    @property
    def is_mapping(self) -> bool:
        """Whether it holds entries by name."""
        return get_origin(self.base) is dict

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the entries of a mapping may have, where only some are allowed."""
        return kind_of(get_args(self.base)[0]).words if self.is_mapping else ()

    @property
    def item(self) -> Kind | None:
        """The kind of the entries of a list, or of a mapping by name."""
        if self.is_mapping:
            return kind_of(get_args(self.base)[1])
        lists = [self.base, *get_args(self.base)] if self.is_choice else [self.base]
        found = next((each for each in lists if get_origin(each) is tuple), None)
        return None if found is None else kind_of(get_args(found)[0])

    @property
    def is_choice(self) -> bool:
        """Whether it is a word or a list, as platforms are."""
        return get_origin(self.base) in (Union, UnionType)

    @property
    def is_rate(self) -> bool:
        """Whether it is bytes a second, such as 20Mbit/s."""
        return any(getattr(each, "func", None) is parse_rate for each in self.metadata)

    @property
    def is_variable(self) -> bool:
        """Whether it is the name of an environment variable, so that its value may be a secret."""
        return _ENV_NAME in self.metadata

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are allowed, where only some are."""
        if get_origin(self.base) is Literal:
            return tuple(get_args(self.base))
        if isinstance(self.base, type) and issubclass(self.base, StrEnum):
            return tuple(self.base)
        return ()


def kind_of(annotation: Any, metadata: Iterable[Any] = ()) -> Kind:
    """Take None and Annotated off a type."""
    found, optional = list(metadata), False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            found += more
        elif get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
            optional = True
            rest = [each for each in get_args(annotation) if each is not NoneType]
            annotation = rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007
        else:
            return Kind(annotation, tuple(found), optional)


def keys_of(model: type[ConfigModel]) -> dict[str, Kind]:
    """The keys that a mapping of mirrors.yaml may have, and what they hold."""
    return {
        field.alias or name: kind_of(field.annotation, field.metadata)
        for name, field in model.model_fields.items()
        if (model.__name__, name) not in _NOT_KEYS
    }


def expected(kind: Kind) -> str:
    """What to write: `a duration such as 30m`, `a list such as [a, b]`, `true or false`."""
    if kind.model is not None:
        return f"a mapping; allowed: {', '.join(keys_of(kind.model))}"
    if kind.is_mapping:
        return "a mapping of entries by name"
    if kind.is_choice:
        return "all or a list such as [linux/amd64, linux/arm64]"
    if kind.item is not None:
        least = " with at least 1 item" if bound(kind, "min_length") else ""
        return f"a list{least}, of {expected(kind.item).removeprefix('a ')} in each item"
    if kind.words:
        *others, last = [repr(str(word)) for word in kind.words]
        return f"{', '.join(others)} or {last}"
    return _expected_scalar(kind)


def _expected_scalar(kind: Kind) -> str:
    if kind.is_rate:
        return "a rate such as 20Mbit/s or 2.5MB/s"
    if kind.is_variable:
        return "the name of an environment variable such as REGISTRY_PASSWORD"
    if kind.base is bool:
        return "true or false"
    if kind.base is int:
        return f"a whole number of at least {bound(kind, 'ge') or 0}"
    if kind.base is float:
        low, high = bound(kind, "gt"), bound(kind, "lt")
        bounds = f"above {low:g}" if low is not None else f"of at least {bound(kind, 'ge') or 0:g}"
        top = f"below {high:g}" if high is not None else f"at most {bound(kind, 'le') or 1:g}"
        return f"a number {bounds} and {top}, such as 0.1"
    if kind.base is timedelta:
        return "a duration such as 30m, 1h30m or 14d"
    if kind.base is time:
        return 'a time of day such as "08:00"'
    if kind.base is Path:
        return "the path of a file"
    form = bound(kind, "pattern")
    if form is None:
        return "a text"
    return (
        "a mail address such as ops@example.com"
        if "@" in form
        else ("a name of lower-case letters, digits, '.', '_', '-'")
    )


def bound(kind: Kind, name: str) -> Any:
    """A limit of the field, such as ge or pattern, from annotated_types or pydantic."""
    for each in kind.metadata:
        for part in (each, *getattr(each, "metadata", ())):
            if (value := getattr(part, name, None)) is not None:
                return value
    return None
