"""What people write in mirrors.yaml, as what the models take: a word for a list, `every: 30`.

The models lead: each value is read by the type of its field. What cannot be meant becomes a Mistake
in its place, which every type refuses, and mirror/config/explain.py shows its message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time, timedelta
from typing import Any

from mirror.config.base import ConfigModel, Mistake
from mirror.config.expectations import Kind, expected, keys_of
from mirror.config.models import RateLimitSettings, TagPolicy
from mirror.config.yaml_file import Unquoted

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(:[0-5]\d)?")
_VARIABLE = re.compile(r"(?<!\w)\$[A-Za-z_]|\$\{[A-Za-z_]")  # not robot$name, as Harbor says


def read_section(model: type[ConfigModel], section: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping of mirrors.yaml as the model takes it; unknown keys stay, to be refused there."""
    keys = keys_of(model)
    read: dict[str, Any] = {}
    for written, value in section.items():
        key = _key(written)
        read[key] = _read(keys[key], value) if key in keys else value
    return read


def read_mappings(section: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The entries of a mapping that are mappings themselves, by name and as they are written."""
    for key, value in section.items() if isinstance(section, Mapping) else ():
        if isinstance(value, Mapping):
            yield _key(key), value


def _key(key: object) -> str:
    return key.text if isinstance(key, Unquoted) else str(key)


def _read(kind: Kind, value: Any) -> Any:
    if value is None:
        return _empty(kind)
    if kind.model is not None:
        return _read_model(kind, kind.model, value)
    if kind.is_mapping:
        if not isinstance(value, Mapping):
            return Mistake(f"must be {expected(kind)}, NAME: {{...}}")
        return {_key(name): _read_entry(kind, entry) for name, entry in value.items()}
    if kind.item is not None:
        return _read_list(kind, kind.item, value)
    if isinstance(value, Mapping | list | tuple):
        what = "a mapping" if isinstance(value, Mapping) else "a list"
        return Mistake(f"must be {expected(kind)}, not {what}")
    return _read_scalar(kind, value)


def _read_entry(kind: Kind, entry: Any) -> Any:
    item = kind.item
    if item is None or entry is None:  # `docker.io:` with nothing under it
        return {}
    return _read(item, entry)


def _empty(kind: Kind) -> Any:
    if kind.optional:
        return None
    if kind.model is not None or kind.is_mapping:
        return {}
    if kind.item is not None and kind.item.model is not None:
        return []
    return Mistake(f"empty; write {expected(kind)}, or remove the key")


def _read_model(kind: Kind, model: type[ConfigModel], value: Any) -> Any:
    if isinstance(value, Mapping):
        return read_section(model, value)
    if model is RateLimitSettings and isinstance(value, str | Unquoted):
        return _read_scalar(keys_of(model)["rate"], value)
    if model is TagPolicy and isinstance(value, str | Unquoted | list):
        return read_section(model, {"include": value})
    return Mistake(f"must be {expected(kind)}")


def _read_list(kind: Kind, item: Kind, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_empty_item(item) if each is None else _read(item, each) for each in value]
    if isinstance(value, Mapping):
        if item.model is not None:
            return [_read(item, value)]
        return Mistake(f"must be {expected(kind)}, not a mapping")
    if item.model is not None:
        return Mistake(f"must be {expected(kind)}")
    if isinstance(value, str) and not value.startswith("re:"):
        parts = [part.strip() for part in re.split(r"[,;\s]+", value.strip())]
        return [_read(item, part) for part in parts if part] or Mistake(
            f"empty; write {expected(kind)}, or remove the key"
        )
    return [_read(item, value)]


def _empty_item(item: Kind) -> Mistake:
    return Mistake(f"an empty item; write {expected(item)}, or remove the item")


def _read_scalar(kind: Kind, value: Any) -> Any:
    if kind.base in (bool, int, float) and not kind.is_rate:
        return _read_number(kind, value)
    text = value.text if isinstance(value, Unquoted) else value
    if not isinstance(text, str):  # !!binary and the like
        return Mistake(f"must be {expected(kind)}")
    if kind.is_variable:
        return text
    if not text.strip():
        return Mistake(f"empty; write {expected(kind)}, or remove the key")
    if _VARIABLE.search(text) and not text.startswith("re:"):
        return Mistake(
            "variables are not expanded here: write the value itself; secrets are named by"
            " username_env, password_env and the like"
        )
    if kind.base is timedelta or kind.is_rate:
        return _with_unit(kind, text.strip())
    if kind.base is time:
        return _clock(kind, text.strip())
    if kind.words:
        return text.strip()
    if isinstance(value, Unquoted) and (isinstance(value.value, bool) or str(value.value) != text):
        return Mistake(f'YAML reads {text} as {_read_as(value)}: quote it, "{text}"')
    return text.strip() if kind.base is not str or not text.startswith("re:") else text


def _read_as(value: Unquoted) -> str:
    if isinstance(value.value, bool):
        return str(value.value).lower()
    return f"the number {value.value}"


def _read_number(kind: Kind, value: Any) -> Any:
    if isinstance(value, Unquoted):
        if isinstance(value.value, bool) != (kind.base is bool):
            return Mistake(f"must be {expected(kind)}")
        return value.value
    text = value.strip() if isinstance(value, str) else ""
    if kind.base is float and re.fullmatch(r"\d+(\.\d+)?\s*%", text):
        share = float(text.rstrip("% ")) / 100
        return Mistake(f"must be {expected(kind)}; for {text} write {share:g}")
    return text or Mistake(f"must be {expected(kind)}")


def _with_unit(kind: Kind, text: str) -> Any:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    if kind.is_rate:
        return Mistake(f"{text} has no unit; write {text}Mbit/s for megabits a second, or MB/s")
    if "." in text:
        return Mistake(f"{text} is not a duration such as 30m, 1h30m or 14d")
    return Mistake(f"{text} has no unit; write {text}m for minutes, or s, h, d")


def _clock(kind: Kind, text: str) -> Any:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return Mistake(f"must be {expected(kind)}")
    return text.rjust(len("08:00") if match[3] is None else len("08:00:00"), "0")
