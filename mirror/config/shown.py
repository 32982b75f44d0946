"""Settings as mirrors.yaml would state them in full: every default, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from mirror.config.base import ConfigModel
from mirror.config.expectations import keys_of
from mirror.config.limits import LimitSettings
from mirror.config.models import RateLimitSettings
from mirror.config.settings import Settings
from mirror.units import format_duration


def shown_settings(settings: Settings) -> dict[str, Any]:
    """The effective settings, in the words of mirrors.yaml.

    Loading it again gives the same settings. Registries that no entry names are added.
    """
    used = {
        repository.partition("/")[0]
        for mirror in (settings.mirrors | settings.entries).values()
        for repository in (mirror.source, mirror.target)
    }
    whole = {
        "registries": {
            host: _plain(settings.registry(host))
            for host in sorted(used | set(settings.registries))
        },
        "mirrors": {
            name: _plain(mirror) for name, mirror in (settings.mirrors | settings.entries).items()
        },
    }
    rest = ("alerts", "alerting", "retry", "limits")
    return whole | {key: _plain(getattr(settings, key)) for key in rest}


def variables(settings: Settings) -> tuple[str, ...]:
    """The environment variables that the settings name, in their order."""
    return tuple(dict.fromkeys(_variables(settings)))


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, ConfigModel):
        keys = keys_of(type(value))
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            kind = keys.get(field.alias or name)
            if kind is not None and kind.is_variable and inner is not None:
                yield inner
            else:
                yield from _variables(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _variables(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _variables(inner)


def _plain(value: Any) -> Any:
    match value:
        case RateLimitSettings():
            return _fields(value) | {"rate": f"{value.rate}B/s"}
        case LimitSettings():  # a mirror's may be written in part: the rest is that of all
            shown = _fields(value) | {"least_rate": f"{value.least_rate}B/s"}
            return {key: each for key, each in shown.items() if key in value.model_fields_set}
        case ConfigModel():
            return _fields(value)
        case timedelta():
            return format_duration(value)
        case time():
            return f"{value:%H:%M:%S}" if value.second else f"{value:%H:%M}"
        case StrEnum() | Path():
            return str(value)
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
    return value


def _fields(model: ConfigModel) -> dict[str, Any]:
    """The keys of a model that have a value."""
    keys = keys_of(type(model))
    values = {
        field.alias or name: getattr(model, name)
        for name, field in type(model).model_fields.items()
    }
    return {key: _plain(values[key]) for key in keys if values[key] is not None}
